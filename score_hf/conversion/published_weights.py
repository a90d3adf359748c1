"""Who published the weights that a model starts from, and under which licence."""

import re
from dataclasses import dataclass

# Licences that let anyone pass the weights on; together they amount to the stricter one.
PERMISSIVE_LICENSES = ("mit", "apache-2.0")


@dataclass(frozen=True)
class Publisher:
    """A publisher of weights.

    Args:
        name: What it is called.
        url: Where it says so.
        license: The Hub's short name of the licence.
        licensing: The licence in words, and where it stands.
        hub_id: Repository on the Hub, where all its files are in one.
    """

    name: str
    url: str
    license: str
    licensing: str
    hub_id: str | None = None


# By repository on the Hub, open_clip's tag or name of the file, each as a whole: a file of another
# name may be anything.
_PUBLISHERS = (
    (
        r"chendelong/RemoteCLIP|RemoteCLIP-(RN50|ViT-B-32|ViT-L-14)(\.pt)?",
        Publisher(
            "RemoteCLIP",
            "https://github.com/ChenDelong1999/RemoteCLIP",
            "apache-2.0",
            "Apache-2.0 (its repository)",
            "chendelong/RemoteCLIP",
        ),
    ),
    (
        r"Zilun/GeoRSCLIP|RS5M_ViT-.*\.pt",
        Publisher(
            "GeoRSCLIP",
            "https://huggingface.co/Zilun/GeoRSCLIP",
            "cc",
            "Creative Commons of a kind that its page on the Hub does not name (its code is MIT); "
            "ask the authors before passing it on",
            "Zilun/GeoRSCLIP",
        ),
    ),
    (
        r"(SkyCLIP_ViT_|CLIP_ViT_L14_LAION_RS).*",
        Publisher(
            "SkyCLIP", "https://github.com/wangzhecheng/SkyScript", "mit", "MIT (its repository)"
        ),
    ),
    (
        r"fcclip_.*\.pth",
        Publisher(
            "FC-CLIP",
            "https://github.com/bytedance/fc-clip",
            "apache-2.0",
            "Apache-2.0 (its repository); trained on COCO, whose annotations are CC BY 4.0",
        ),
    ),
    (
        r"openai|openai/clip-.*|timm/.*\.openai",
        Publisher("OpenAI CLIP", "https://github.com/openai/CLIP", "mit", "MIT (its repository)"),
    ),
    (
        r"metaclip_\w+|facebook/metaclip-.*|timm/.*\.metaclip_.*",
        Publisher(
            "MetaCLIP",
            "https://github.com/facebookresearch/MetaCLIP",
            "cc-by-nc-4.0",
            "CC BY-NC 4.0: not for commercial use",
        ),
    ),
    (
        r"dfn\w+|apple/DFN.*",
        Publisher(
            "Apple's Data Filtering Networks",
            "https://huggingface.co/apple",
            "apple-amlr",
            "Apple Machine Learning Research Model licence: for research only",
        ),
    ),
    (
        r"(laion|datacomp|commonpool)\w*|laion/.*|timm/.*\.laion\w+",
        Publisher(
            "OpenCLIP",
            "https://github.com/mlfoundations/open_clip",
            "mit",
            "MIT (its repository, for code and weights)",
        ),
    ),
)


@dataclass(frozen=True)
class WeightSource:
    """What weights a part of a model was filled with.

    Args:
        architecture: What it is, such as open_clip's name "convnext_large_d_320".
        weights: Tag or name of the file, such as "laion2b_s29b_b131k_ft_soup".
        hub_id: Its repository on the Hub; None takes its publisher's, if there is one.
    """

    architecture: str
    weights: str
    hub_id: str | None = None

    @property
    def publisher(self) -> Publisher | None:
        """Who published it, by its name; None if that is not known."""
        names = [self.weights.rpartition("/")[2], (self.hub_id or "").strip("/")]
        return next(
            (
                publisher
                for pattern, publisher in _PUBLISHERS
                if any(re.fullmatch(pattern, name, re.IGNORECASE) for name in names)
            ),
            None,
        )

    @property
    def base_model(self) -> str | None:
        """Its repository on the Hub, as far as it is known."""
        if self.hub_id is not None:
            return self.hub_id.strip("/")
        return None if self.publisher is None else self.publisher.hub_id


def license_of(sources: list[WeightSource]) -> str | None:
    """Gives the licence that weights of several sources carry together.

    Args:
        sources: Where they come from.

    Returns:
        The Hub's short name; "other" where one is not known or not permissive, None without any
        source: then it is up to who trained the model.
    """
    if not sources:
        return None
    found = {None if one.publisher is None else one.publisher.license for one in sources}
    # The modelling code that lies in the folder is Apache-2.0.
    return "apache-2.0" if found <= set(PERMISSIVE_LICENSES) else "other"
