import gc

import pytest


@pytest.fixture(autouse=True)
def quick_collection():
    """Speed up mmengine's garbage collection, which runs for each new dataset.

    Objects from before the test are excluded from the search.
    """
    gc.freeze()
