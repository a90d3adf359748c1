"""CLIP's tokenizer from the vocabulary that comes with open_clip, so that nothing is downloaded."""

from transformers import CLIPTokenizer

START, END = "<|startoftext|>", "<|endoftext|>"
# The two come last; CLIP pads texts with the end, as what follows it has no effect.
VOCABULARY_SIZE = 49408
START_ID, END_ID = VOCABULARY_SIZE - 2, VOCABULARY_SIZE - 1


def clip_tokenizer(context_length: int = 77) -> CLIPTokenizer:
    """Makes the tokenizer of every CLIP that OpenAI and OpenCLIP trained on English texts.

    Args:
        context_length: Most tokens of a text, start and end included.

    Returns:
        The tokenizer.
    """
    from open_clip.tokenizer import SimpleTokenizer

    source = SimpleTokenizer(context_length=context_length)
    names = {source.sot_token_id: START, source.eot_token_id: END}
    return CLIPTokenizer(
        vocab={names.get(index, token): index for token, index in source.encoder.items()},
        merges=list(source.bpe_ranks),
        model_max_length=context_length,
    )
