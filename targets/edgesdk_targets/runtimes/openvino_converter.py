"""OpenVINO's package without its converter, for processes that only run models.

`import openvino` imports the converter as well, and with it an HTTP client, and tells the library's makers of the import
where nobody declined that. That takes longer than all the rest of the import, and a device converts nothing.
"""

from __future__ import annotations

import sys
from typing import Any

_CONVERTER = "openvino.tools.ovc"


def leave_out_converter() -> None:
    """Let `import openvino` do without its converter in this process, from now on; call it before that import.

    The package expects that it may be absent: `openvino.convert_model` is not there then.
    """
    modules: dict[str, Any] = sys.modules
    # Python takes this as: there is no such module.
    modules.setdefault(_CONVERTER, None)
