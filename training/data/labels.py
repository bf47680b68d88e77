"""How each data set names the expressions of LABELS (FER+'s eight, in its order)."""

from training.data.split import LABELS

INDEX = {name: index for index, name in enumerate(LABELS)}

# FER2013's own seven, by their number in fer2013.csv.
FER2013 = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")

# EmoLabel/list_patition_label.txt of RAF-DB's basic set.
RAF_DB = {
    1: "surprise",
    2: "fear",
    3: "disgust",
    4: "happiness",
    5: "sadness",
    6: "anger",
    7: "neutral",
}

# Letters 5 and 6 of a KDEF file name.
KDEF = {
    "AF": "fear",
    "AN": "anger",
    "DI": "disgust",
    "HA": "happiness",
    "NE": "neutral",
    "SA": "sadness",
    "SU": "surprise",
}

# *_exp.npy of AffectNet.
AFFECT_NET = {
    0: "neutral",
    1: "happiness",
    2: "sadness",
    3: "surprise",
    4: "fear",
    5: "disgust",
    6: "anger",
    7: "contempt",
}
# AffectNet's full release also marks pictures with none of the eight expressions; their rows have no label.
AFFECT_NET_OTHER = {8: "none", 9: "uncertain", 10: "no face"}

# Names of a folder of pictures, in lower case.
ALIASES = {
    "neutral": ("neutral", "neutrality"),
    "happiness": ("happiness", "happy", "joy"),
    "surprise": ("surprise", "surprised"),
    "sadness": ("sadness", "sad"),
    "anger": ("anger", "angry"),
    "disgust": ("disgust", "disgusted"),
    "fear": ("fear", "fearful", "afraid", "scared"),
    "contempt": ("contempt", "contemptuous"),
}
LABEL_OF_ALIAS = {alias: INDEX[name] for name, aliases in ALIASES.items() for alias in aliases}
