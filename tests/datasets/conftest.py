import gc

import pytest


@pytest.fixture(autouse=True)
def quick_collection():
    """mmengine collects garbage for each data set that it makes.

    What existed before the test need not be searched each time.
    """
    gc.freeze()
