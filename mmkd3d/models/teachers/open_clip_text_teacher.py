"""Text towers of CLIP as teachers."""

from collections.abc import Sequence

import torch
from torch import Tensor

from mmkd3d.registry import MODELS

from .language_teacher import LanguageTeacher
from .open_clip_models import create_clip, import_open_clip, model_config
from .references import check_reference

# What the text tower of OpenAI's CLIP has, by the names of open_clip.
PLAIN = dict(
    hf_model_name=None,
    hf_tokenizer_name=None,
    embed_cls=False,
    no_causal_mask=False,
    pool_type='argmax',
    proj_type='linear',
    proj_bias=False,
)


@MODELS.register_module()
class OpenClipTextTeacher(LanguageTeacher):
    """The text transformer of a CLIP model of open_clip.

    Needs the extra ``clip`` (``pip install "mmkd3d[clip]"``). The feature of a
    sentence is that of its end-of-text token, after the last norm, times the
    text projection; the width is that of the space shared with images. Only
    the text tower is kept.

    Args:
        model_name: open_clip's name; see :class:`OpenClipTeacher` about the
            activation.
        checkpoint: See :func:`~.open_clip_models.create_clip`.
        pretrained: open_clip's tag of the weights, without a checkpoint.
        normalize: Give features unit length. ReCon is taught by raw ones.
        truncate: Cut sentences that are too long; else they are an error, as
            in the tokenizer of OpenAI.
        random_weights: The control: no pretrained weights at all.
        model_kwargs: More arguments of ``open_clip.create_model``.
        reference: See :func:`~.references.check_reference`.
        keep_weights: See :class:`BaseTeacher`.

    Raises:
        FileNotFoundError: No weights, or not those of this model.
        ValueError: The text tower is not a plain CLIP text transformer, or
            the weights do not belong to what is around them.
    """

    def __init__(
        self,
        model_name: str,
        checkpoint: str | None = None,
        *,
        pretrained: str = 'openai',
        normalize: bool = False,
        truncate: bool = False,
        random_weights: bool = False,
        model_kwargs: dict | None = None,
        reference: str | bool = True,
        keep_weights: bool = False,
    ):
        model_kwargs = model_kwargs or {}
        check_plain(model_name, model_kwargs)
        # As a module of its own, and not as loose parts of the whole model.
        net = create_clip(
            model_name,
            checkpoint,
            pretrained=pretrained,
            random_weights=random_weights,
            force_custom_text=True,
            **model_kwargs,
        ).text
        super().__init__(net, net.output_dim, normalize=normalize, keep_weights=keep_weights)
        self.tokenizer = import_open_clip().get_tokenizer(model_name)
        self.truncate = truncate
        check_reference(self, reference)

    def tokenize(self, sentences: Sequence[str]) -> Tensor:
        """Token ids (S, context length) of S sentences, zeros behind them.

        Raises:
            ValueError: A sentence is too long, and ``truncate`` is False.
        """
        length = self.net.context_length
        ids = self.tokenizer(list(sentences), context_length=length + 1)
        too_long = ids[:, length].nonzero().flatten().tolist()
        if not too_long:
            return ids[:, :length]
        if self.truncate:
            return self.tokenizer(list(sentences), context_length=length)
        raise ValueError(
            f'{len(too_long)} sentences have more than the {length} tokens '
            f'that the text tower reads, the first: '
            f'{sentences[too_long[0]]!r}. Shorten them, or cut them with '
            'truncate=True.'
        )

    @torch.no_grad()
    def embed(self, sentences: list[str]) -> Tensor:
        """See :class:`LanguageTeacher`."""
        ids = self.tokenize(sentences)
        return self.net(ids.to(self.net.positional_embedding.device))


def check_plain(model_name: str, model_kwargs: dict) -> None:
    """``ValueError`` if a text tower is more than that of OpenAI's CLIP."""
    text = model_config(model_name, model_kwargs).get('text_cfg', {})
    odd = [
        f'{name}={text[name]!r}' for name, plain in PLAIN.items() if text.get(name, plain) != plain
    ]
    if odd:
        raise ValueError(
            f'The text tower of {model_name} is not a plain CLIP text '
            f'transformer with its tokenizer: {", ".join(odd)}. Choose a '
            'model such as ViT-B-32-quickgelu, or TextTeacher for a sentence '
            'transformer.'
        )
