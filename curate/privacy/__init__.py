"""The privacy room: detect, confirm, replace by surrogates, and gate what leaks.

Lives here: recognizers around Presidio, the label policy, surrogates, the cache, the batch function that job
workers call. Does not live here: the store (findings and decisions are kept by `curate.findings`), the pages.
Public names: `Detector`, `Finding`, `Policy`, `RecordScan`, `ScanCache`, `pseudonymize`, `residual`, `scan_batch`, and
the errors `PrivacyError`, `ModelMissing`, `PolicyError`, `ScanFailed`. Importing this package loads no model.
"""

from __future__ import annotations

import curate.privacy._engine  # isort: skip  # noqa: F401 - first: the others import presidio
from curate.privacy.batch import scan_batch
from curate.privacy.cache import ScanCache
from curate.privacy.detector import Detector, RecordScan
from curate.privacy.findings import Finding, ModelMissing, PolicyError, PrivacyError, ScanFailed
from curate.privacy.policy import Policy
from curate.privacy.replace import pseudonymize, residual

__all__ = [
    "Detector",
    "Finding",
    "ModelMissing",
    "Policy",
    "PolicyError",
    "PrivacyError",
    "RecordScan",
    "ScanCache",
    "ScanFailed",
    "pseudonymize",
    "residual",
    "scan_batch",
]
