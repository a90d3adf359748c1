"""The classes of the drawn scenes and the names under which a model learns them."""

# Canonical name first; the other names are synonyms. The order fixes the category numbers.
DRAWN_VOCABULARY: dict[str, tuple[str, ...]] = {
    "plane": ("plane", "airplane", "aircraft"),
    "ship": ("ship", "boat", "vessel"),
    "harbor": ("harbor", "pier", "dock"),
    "bridge": ("bridge", "overpass"),
    "storage tank": ("storage tank", "oil tank", "fuel tank"),
    "vehicle": ("vehicle", "car"),
    "tennis court": ("tennis court", "tennis field"),
    "soccer field": ("soccer field", "football field", "soccer pitch"),
    "baseball diamond": ("baseball diamond", "baseball field"),
    "swimming pool": ("swimming pool", "pool"),
    "roundabout": ("roundabout", "traffic circle"),
    "solar panel": ("solar panel", "solar array", "photovoltaic panel"),
}
