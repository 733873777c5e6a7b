"""The one door to the code generated from proto/distmis/v1, which imports itself as `distmis.v1`."""

import sys
from pathlib import Path

_ROOT = Path(__file__).parent / "generated"
if not (_ROOT / "distmis" / "v1" / "cluster_pb2.py").exists():
    raise ImportError(f"{_ROOT} holds no generated code: run `npm run setup`")
sys.path.insert(0, str(_ROOT))

from distmis.v1 import cluster_pb2 as pb  # noqa: E402
from distmis.v1 import cluster_pb2_grpc as pb_grpc  # noqa: E402
from distmis.v1 import study_pb2 as study_pb  # noqa: E402
from distmis.v1 import study_pb2_grpc as study_grpc  # noqa: E402

__all__ = ["pb", "pb_grpc", "study_grpc", "study_pb"]
