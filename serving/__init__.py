"""
The server inside a Slipway image: one model bundle, answered over HTTP.

It stands alone. It imports onnxruntime, numpy, msgspec and uvicorn, and nothing of the pipeline that made the bundle;
docs/reference/bundle.md is all that the two share.
"""

import os

# Since 1.29 onnxruntime's Linux builds report each session, with hashes of its graph, to their maker, and keep a device
# identifier on disk. A server must do neither. The variable has to be there before the library is first imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
