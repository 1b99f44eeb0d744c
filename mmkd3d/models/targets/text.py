"""Text features of the name or the caption of every sample."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mmkd3d.registry import MODELS
from mmkd3d.utils.hashes import text_digest
from mmkd3d.utils.samples import metainfo

from ..teachers.prompts import load_prompts
from .base import BaseTarget

HINTS = dict(
    category='Use a data set with named classes.',
    caption="Put dict(type='LoadCaptions', ...) in the pipeline with a caption for "
    "every shape, remove the shapes without one, or set source='category'.",
)


@MODELS.register_module()
class TextTarget(BaseTarget):
    """Feature of the text of every sample in a random prompt.

    As published (ReCon, spec 4), a prompt is drawn for every sample and step.
    Unlike there, the teacher reads every text only once, in all prompts, and
    the features are kept in memory: ``4 * P * D`` bytes per text. Use few
    prompts P if every sample has its own caption.

    Args:
        teacher: Config of a text teacher.
        prompts: Name of a set of prompts, see :func:`load_prompts`; or a list
            of templates with ``{}``; None uses the text as it is.
        source: ``'category'`` or ``'caption'``, the metainfo with the text.
        cache: Folder of a cache, built by ``tools/cache_teacher.py``. The
            teacher is rebuilt for texts that are not in it.
        batch_size: Sentences per forward pass of the teacher.
        precision: See :class:`BaseTarget`.

    Raises:
        ValueError: An unknown ``source``, or a template without ``{}``.
        FileNotFoundError, StaleCacheError: See :class:`FeatureCache`.
    """

    def __init__(
        self,
        teacher: dict,
        prompts: str | Sequence[str] | None = 'recon-60-v1',
        *,
        source: str = 'category',
        cache: str | Path | None = None,
        batch_size: int = 512,
        precision: str = 'auto',
    ):
        super().__init__(teacher, precision=precision)
        if source not in HINTS:
            raise ValueError(f'source is one of {", ".join(HINTS)}, got {source!r}.')
        self.templates = find_templates(prompts)
        self.source = source
        self.batch_size = batch_size
        self.dims = self.teacher.embed_dims
        self.bank = FeatureBank((len(self.templates), self.dims))
        self.open_cache(cache)
        if self.cache is not None:
            self.bank.add(self.cache.keys, torch.tensor(self.cache.features))
        self.register_load_state_dict_post_hook(_clear_bank)

    def _apply(self, fn, recurse: bool = True):
        self.bank.to(fn(self.bank.feats[:0]).device)
        return super()._apply(fn, recurse)

    @torch.no_grad()
    def forward(
        self, points: Tensor | None, data_samples: list, prompt_idx: Tensor | None = None
    ) -> Tensor:
        """Features (B, D), on the device of the target.

        Args:
            points: Not used.
            data_samples: B elements.
            prompt_idx: (B,) indices of the prompts; None draws them.
        """
        rows = self._rows(self.texts(data_samples))
        if prompt_idx is None:
            prompt_idx = torch.randint(len(self.templates), rows.shape, device=rows.device)
        return self.bank.feats[rows, prompt_idx]

    def texts(self, data_samples: list) -> list[str]:
        """Text of every sample; ``ValueError`` names samples without one."""
        return metainfo(data_samples, self.source, HINTS[self.source])

    @torch.no_grad()
    def class_features(self, names: Sequence[str]) -> Tensor:
        """Features (C, P, D) of C names in all P prompts."""
        rows = self._rows(names)
        return self.bank.feats[rows]

    @torch.no_grad()
    def read(self, texts: Sequence[str]) -> Tensor:
        """Run the teacher on S texts in all prompts: (S, P, D)."""
        sentences = [template.replace('{}', text) for text in texts for template in self.templates]
        with self.autocast(self.bank.feats.device):
            feats = [
                self.teacher.encode_text(sentences[i : i + self.batch_size])
                for i in range(0, len(sentences), self.batch_size)
            ]
        return torch.cat(feats).float().unflatten(0, (len(texts), -1))

    def transform(self) -> dict:
        """See :class:`BaseTarget`."""
        return dict(prompts=len(self.templates), templates=text_digest(self.templates))

    def _rows(self, texts: Sequence[str]) -> Tensor:
        """Rows of the texts in the bank; new texts are added together."""
        new = [text for text in dict.fromkeys(texts) if text not in self.bank]
        if new:
            if self.teacher is None:
                with torch.random.fork_rng(devices=[]):
                    self.teacher = MODELS.build(self.teacher_cfg).to(self.bank.feats.device)
            self.bank.add(new, self.read(new))
        return self.bank.rows(texts)


class FeatureBank:
    """Features of named items in one growing tensor.

    Neither a module nor a buffer: its content differs between processes and
    does not belong in state dicts.

    Args:
        shape: Of the feature of one item.

    Attributes:
        feats: (capacity, *shape) float32; rows from ``len(bank)`` on are
            uninitialised.
    """

    def __init__(self, shape: Sequence[int]):
        self.feats = torch.empty(0, *shape)
        self._row = {}

    def __len__(self) -> int:
        return len(self._row)

    def __contains__(self, name: str) -> bool:
        return name in self._row

    def add(self, names: Sequence[str], feats: Tensor) -> None:
        """Add new items with features (len(names), *shape)."""
        begin, end = len(self), len(self) + len(names)
        # A bank that was filled during validation is also used in training.
        with torch.inference_mode(False), torch.no_grad():
            if end > len(self.feats):
                grown = self.feats.new_empty(max(end, 2 * len(self.feats)), *self.feats.shape[1:])
                grown[:begin] = self.feats[:begin]
                self.feats = grown
            self.feats[begin:end] = feats
        self._row.update(zip(names, range(begin, end)))

    def rows(self, names: Sequence[str]) -> Tensor:
        """Rows (len(names),) long of known items, on the device of feats."""
        rows = torch.tensor([self._row[name] for name in names])
        return rows.to(self.feats.device, non_blocking=True)

    def clear(self) -> None:
        """Remove all items."""
        self.feats = self.feats[:0].clone()
        self._row = {}

    def to(self, device: torch.device) -> None:
        """Move to another device."""
        self.feats = self.feats.to(device)


def find_templates(prompts: str | Sequence[str] | None) -> list[str]:
    """Templates of a set of prompts; ``ValueError`` for one without {}."""
    if prompts is None:
        return ['{}']
    if isinstance(prompts, str):
        return load_prompts(prompts)
    without = [template for template in prompts if '{}' not in template]
    if without or not prompts:
        raise ValueError(
            f'prompts must be templates with {{}} for the text, got {without or list(prompts)}.'
        )
    return list(prompts)


def _clear_bank(target: TextTarget, account) -> None:
    """Remove features computed before the weights of the teacher were loaded."""
    if target.teacher is not None:
        target.bank.clear()
