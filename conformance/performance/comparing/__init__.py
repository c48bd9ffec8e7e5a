"""Two groups of runs compared: what changed beyond noise, thresholds, and the history of releases."""
