class BoneQualityError(ValueError):
    """A fault of the input, said in one sentence that names the node, file or segment and the remedy."""


class NotMeasured(BoneQualityError):
    """One value cannot be taken; the others can. The sentence is the reason that stands in the empty value's place."""

    def __init__(self, reason: str, flag: str = ""):
        super().__init__(reason)
        self.flag = flag
