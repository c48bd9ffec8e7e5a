"""The conversion webhook as a program: `python -m conformance.sandbox.conversion`.

Source: ConversionReview of `apiextensions.k8s.io/v1`.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from conformance.sandbox.conversion.convert import Conversion, ConversionError
from conformance.sandbox.mutants import MUTANTS, OBSERVED, find


def review(conversion: Conversion, asked: dict[str, Any]) -> dict[str, Any]:
    """Answer one ConversionReview."""
    request = asked["request"]
    try:
        converted = [conversion.convert(obj, request["desiredAPIVersion"]) for obj in request["objects"]]
        answer = {"convertedObjects": converted, "result": {"status": "Success"}}
    except (ConversionError, AttributeError, KeyError, TypeError, ValueError) as error:
        answer = {"convertedObjects": [], "result": {"status": "Failure", "message": str(error)}}
    return {"apiVersion": asked["apiVersion"], "kind": asked["kind"], "response": {"uid": request["uid"], **answer}}


def application(conversion: Conversion) -> Starlette:
    """Return the ASGI application."""
    async def convert(request: Request) -> Response:
        return JSONResponse(review(conversion, await request.json()))

    return Starlette(routes=[Route("/convert", convert, methods=["POST"])])


def main() -> None:
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m conformance.sandbox.conversion", description=__doc__)
    parser.add_argument("--tls", type=Path, required=True, metavar="DIRECTORY", help="where tls.crt and tls.key are")
    parser.add_argument("--port", type=int, default=8443)
    parser.add_argument("--mutant", choices=sorted({*MUTANTS, *OBSERVED}), metavar="NAME",
                        help="convert wrongly on purpose")
    given = parser.parse_args()
    conversion = find(given.mutant).conversion() if given.mutant else Conversion()
    uvicorn.run(
        application(conversion), host="0.0.0.0", port=given.port, lifespan="off", log_level="warning",  # noqa: S104
        ssl_certfile=str(given.tls / "tls.crt"), ssl_keyfile=str(given.tls / "tls.key"),
    )


if __name__ == "__main__":
    main()
