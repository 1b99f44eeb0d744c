"""Jobs that are measured in turn."""

import os

import pytest

from benchmarks.interleave import Found, Job, interleave, quartiles, ratio


class Count:
    """A job of known duration that counts its rounds."""

    def __init__(self, seconds):
        self.seconds, self.rounds = seconds, 0
        if seconds < 0:
            raise ValueError('negative\nseconds')

    def run(self):
        self.rounds += 1
        if self.seconds > 100:
            os._exit(1)
        return dict(seconds=self.seconds * self.rounds)

    def info(self):
        return dict(pid=os.getpid(), rounds=self.rounds, threads=os.environ['OMP_NUM_THREADS'])


@pytest.mark.slow
def test_each_job_runs_once_in_every_round_in_a_process_of_its_own():
    jobs = dict(slow=Job(Count, (2.0,)), fast=Job(Count, (0.5,)), bad=Job(Count, (-1,)))
    jobs['killed'] = Job(Count, (1000,))
    found = interleave(jobs, num_threads=3, budget=0.0, min_rounds=3)
    assert found['bad'] == 'ValueError: negative' and 'killed' in found['killed']
    # the first round of each is not measured
    assert [lap['seconds'] for lap in found['slow'].rounds] == [4, 6, 8]
    assert found['slow'].info['rounds'] == 4 and found['slow'].info['threads'] == '3'
    assert len({os.getpid(), *(found[name].info['pid'] for name in ('slow', 'fast'))}) == 3
    assert ratio(found['slow'], found['fast']) == (4, 4, 4)


def test_ratios_are_taken_within_rounds():
    """The machine was ten times slower in the last round."""
    slow = Found([dict(seconds=s) for s in (2, 3, 20)], {})
    fast = Found([dict(seconds=s) for s in (1, 1, 10)], {})
    assert ratio(slow, fast) == (2, 2, 2.5)
    assert slow.seconds == 3 and slow.part('none') == 0
    assert str(ratio(slow, fast)) == '2.00x (2.00-2.50)'
    assert quartiles([7.0]) == (7, 7, 7)
