"""The part of the harness that makes and answers load inside a pod.

It travels as `load.zip` beside `agent.py`: standard library only, Python 3.9 and newer, and of the rest of the harness
nothing but the histogram. It needs Linux (epoll). Times are whole nanoseconds of `time.perf_counter_ns`, which no
change of the wall clock moves.
"""
