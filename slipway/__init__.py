"""What users of published data import: `from slipway import load_data`. It needs DVC and pandas, nothing of the pipeline."""

from slipway.data import DataError, describe_data, load_data, versions

__all__ = ["DataError", "describe_data", "load_data", "versions"]
