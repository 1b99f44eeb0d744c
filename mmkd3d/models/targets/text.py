"""What a text teacher says of the name or the description of a shape."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from mmkd3d.registry import MODELS
from mmkd3d.utils.digest import text_digest

from ..teachers.cache import FeatureCache
from ..teachers.prompts import load_prompts
from .base import BaseTarget, metainfo
from .feature_bank import FeatureBank

WAYS_OUT = dict(
    category='Use a data set with named classes.',
    caption="Put dict(type='LoadCaptions', ...) in the pipeline with a "
    'caption for every shape, leave out the shapes without one, or set '
    "source='category'.",
)


@MODELS.register_module()
class TextTarget(BaseTarget):
    """Feature of the text of every sample in a random prompt.

    As published (ReCon, spec 4), a text is put into one of the prompts, drawn
    anew for every sample and step. Unlike there, the teacher reads every text
    only once, in all its prompts, when it is first met; a step is then a look
    into a table in memory. The table takes ``4 * P * D`` bytes for a text: P
    prompts should be few where every sample has its own caption.

    Args:
        teacher: Config of a teacher that reads text.
        prompts: Name of a set of prompts, see ``load_prompts``; or a list of
            templates with ``{}``; None takes a text as it is.
        source: ``'category'`` or ``'caption'``: the metainfo that is read.
        cache: Folder of a cache, made by ``tools/cache_teacher.py``. Then the
            teacher is built anew only for texts that are not in it.
        batch_size: Sentences that the teacher reads at a time.
        precision: See :class:`BaseTarget`.

    Raises:
        ValueError: An unknown ``source``, or a template without ``{}``.
        FileNotFoundError: There is no cache; see :class:`FeatureCache` for
            what else may be wrong with it.
    """

    def __init__(
        self,
        teacher: dict,
        prompts: str | Sequence[str] | None = 'recon-60-v1',
        *,
        source: str = 'category',
        cache: str | Path | None = None,
        batch_size: int = 512,
        precision: str = 'fp32',
    ):
        super().__init__(teacher, precision=precision)
        if source not in WAYS_OUT:
            raise ValueError(f'source is one of {", ".join(WAYS_OUT)}, got {source!r}.')
        self.templates = find_templates(prompts)
        self.source = source
        self.batch_size = batch_size
        self.dims = self.teacher.embed_dims
        self.bank = FeatureBank((len(self.templates), self.dims))
        if cache is not None:
            found = FeatureCache(cache, self.identity())
            self.bank.add(found.keys, torch.tensor(found.features))
            self.teacher = None
        self.register_load_state_dict_post_hook(_forget)

    def _apply(self, fn, recurse: bool = True):
        self.bank.to(fn(self.bank.feats[:0]).device)
        return super()._apply(fn, recurse)

    @torch.no_grad()
    def forward(
        self, points: Tensor | None, data_samples: list, prompt_idx: Tensor | None = None
    ) -> Tensor:
        """See :class:`BaseTarget`; the features are on the own device.

        Args:
            points: Not used.
            data_samples: B elements.
            prompt_idx: (B,) which prompt to take; None draws it from torch's
                generator of the device.
        """
        rows = self._rows(self.texts(data_samples))
        if prompt_idx is None:
            prompt_idx = torch.randint(len(self.templates), rows.shape, device=rows.device)
        return self.bank.feats[rows, prompt_idx]

    def texts(self, data_samples: list) -> list[str]:
        """Of every sample; ``ValueError`` names those that have none."""
        return metainfo(data_samples, self.source, WAYS_OUT[self.source])

    @torch.no_grad()
    def class_features(self, names: Sequence[str]) -> Tensor:
        """Features (C, P, D) of C names in all P prompts."""
        rows = self._rows(names)
        return self.bank.feats[rows]

    @torch.no_grad()
    def read(self, texts: Sequence[str]) -> Tensor:
        """What the teacher says of S texts in all prompts, (S, P, D)."""
        sentences = [template.replace('{}', text) for text in texts for template in self.templates]
        with self.teacher_precision(self.bank.feats.device):
            feats = [
                self.teacher.encode_text(sentences[i : i + self.batch_size])
                for i in range(0, len(sentences), self.batch_size)
            ]
        return torch.cat(feats).float().unflatten(0, (len(texts), -1))

    def transform(self) -> dict:
        """See :class:`BaseTarget`."""
        return dict(prompts=len(self.templates), templates=text_digest(self.templates))

    def _rows(self, texts: Sequence[str]) -> Tensor:
        """Rows of the texts in the bank; new ones are read, all in one go."""
        new = [text for text in dict.fromkeys(texts) if text not in self.bank]
        if new:
            if self.teacher is None:
                self._build_teacher()
            self.bank.add(new, self.read(new))
        return self.bank.rows(texts)

    def _build_teacher(self) -> None:
        with torch.random.fork_rng(devices=[]):
            teacher = MODELS.build(self.teacher_cfg)
        self.teacher = teacher.to(self.bank.feats.device)


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


def _forget(target: TextTarget, account) -> None:
    """What was read before the teacher's weights were loaded is void."""
    if target.teacher is not None:
        target.bank.clear()
