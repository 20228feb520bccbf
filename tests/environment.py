"""The environment of the tests, set before Django loads: nothing of the machine's own leaks in.

PATCHBAY_TEST_DATABASE_URL runs the tests on PostgreSQL instead of SQLite.
"""

import atexit
import os
import shutil
import tempfile

for name in [name for name in os.environ if name.startswith(("PATCHBAY_", "DATABASE_URL", "REDIS_URL"))]:
    if not name.startswith("PATCHBAY_TEST_"):
        del os.environ[name]

data = tempfile.mkdtemp(prefix="patchbay-tests-")
atexit.register(shutil.rmtree, data, ignore_errors=True)
# A folder of all processes of this run: those that xdist starts inherit the first one's.
os.environ.setdefault("PATCHBAY_TEST_SHARED", data)
os.environ |= {
    "PATCHBAY_DATA": data,
    "PATCHBAY_SECRET_KEY": "only-for-tests-and-long-enough-to-be-a-key-0123456789",
    "PATCHBAY_ENCRYPTION_KEYS": "VGVzdHMgb25seTogdGhpcnR5LXR3byBieXRlcyBhLi4=",
    "PATCHBAY_USER_PER_MINUTE": "0",  # tests write faster than people may
    "PATCHBAY_NUMBER_PER_MINUTE": "0",
    "PATCHBAY_WEBHOOK_CACHE_SECONDS": "0",
    "PATCHBAY_LOG_LEVEL": "WARNING",
    "DJANGO_ALLOW_ASYNC_UNSAFE": "true",  # Playwright's loop runs in the thread of the tests
}
if url := os.environ.get("PATCHBAY_TEST_DATABASE_URL"):
    os.environ["DATABASE_URL"] = url
