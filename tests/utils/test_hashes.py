"""Hashes of samples and texts."""

import pytest
import torch

from mmkd3d.utils.hashes import frozen_fingerprint, row_digests, text_digest


def test_a_digest_belongs_to_the_sample_not_to_the_batch():
    x = torch.randn(7, 11, 3)
    digests = row_digests(x)
    assert digests.shape == (7,) and len(set(digests.tolist())) == 7
    for i in range(7):
        assert row_digests(x[i : i + 1]) == digests[i]
    turned = x.transpose(1, 2).contiguous().transpose(1, 2)
    assert torch.equal(row_digests(turned), digests)


@pytest.mark.parametrize('length', [8, 9])
def test_any_change_of_a_value_shows(length):
    x = torch.randn(1, length)
    changed = [x]

    def change(**values):
        other = x.clone()
        for i, value in values.items():
            other[0, int(i[1:])] = value
        changed.append(other)

    for i in range(length):
        own = x[0, i]
        for value in (torch.nextafter(own, torch.tensor(9.0)), -own, torch.tensor(0.0), 2 * own):
            change(**{f'_{i}': value})
        for k in range(i):
            change(**{f'_{i}': -own, f'_{k}': -x[0, k]})
            change(**{f'_{i}': x[0, k], f'_{k}': own})
    digests = row_digests(torch.cat(changed))
    assert len(set(digests.tolist())) == len(changed)
    longer = torch.cat([x, torch.zeros(1, 1)], dim=1)  # one extra value
    assert row_digests(longer) != row_digests(x)


def test_mirrored_clouds_differ_in_every_subset_of_axes():
    x = torch.randn(1, 64, 3)
    signs = torch.cartesian_prod(*[torch.tensor([1.0, -1.0])] * 3)
    digests = row_digests(x * signs[:, None])
    assert len(set(digests.tolist())) == 8


def test_the_digest_of_texts_sees_order_and_borders():
    lists = [['a', 'b'], ['b', 'a'], ['ab'], ['a', 'b', ''], ['', 'a', 'b']]
    assert len({text_digest(lines) for lines in lists}) == len(lists)
    assert text_digest(iter(['a', 'b'])) == text_digest(['a', 'b'])


def test_fingerprint_tells_weights_but_not_their_storage():
    state = {'b.weight': torch.randn(3, 4), 'a': torch.tensor(2.0)}
    own = frozen_fingerprint(state)
    strided = {'a': state['a'], 'b.weight': state['b.weight'].t().clone().t()}
    assert frozen_fingerprint(strided) == own
    half = {k: v.half() for k, v in state.items()}
    assert frozen_fingerprint(half) == frozen_fingerprint({k: v.float() for k, v in half.items()})
    assert frozen_fingerprint(dict(state, a=torch.tensor(2.1))) != own
    assert frozen_fingerprint({'c.weight': state['b.weight'], 'a': state['a']}) != own
