"""The weights, the files of the live page, and the modules that fer_edge imports by name on first use."""

from PyInstaller.utils.hooks import collect_data_files

import fer_edge

datas = collect_data_files("fer_edge", includes=["weights/*", "web/static/*"])
hiddenimports = ["fer_edge.models", *sorted(set(fer_edge._MODULES.values()))]
