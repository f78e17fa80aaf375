"""Runtimes that behave badly: real Python packages in a folder, which a real child process imports.

`session_module` stands for one of edgesdk's runtime modules (`open_session`); `openvino_package` for OpenVINO itself.
"""

from __future__ import annotations

from pathlib import Path

# What each way of behaving does when its phase comes.
ACTS = {
    "fine": "pass",
    "SIGILL": "os.kill(os.getpid(), signal.SIGILL)",
    "SIGSEGV": "os.kill(os.getpid(), signal.SIGSEGV)",
    "SIGKILL": "os.kill(os.getpid(), signal.SIGKILL)",
    "137": "os._exit(137)",
    "leaves": "sys.stderr.write('cannot find my licence\\n'); sys.stderr.flush(); os._exit(3)",
    "bad_alloc": "sys.stderr.write('  what():  std::bad_alloc\\n'); sys.stderr.flush(); os.abort()",
    "hangs": "signal.pause()",
    "raises": "raise RuntimeError('no kernel for this')",
    "lacks": "raise ImportError('libfake.so.1: cannot open shared object file', name='libfake')",
    "builds": "load.options.on_build(True); time.sleep(1.5); load.options.on_build(False)",
    "builds for ever": "load.options.on_build(True); signal.pause()",
    "eats": "HELD.append(bytearray(b'x') * (300 << 20)); signal.pause()",
}

_SESSION = """
import os, signal, sys, time
import numpy as np
__version__ = {version!r}
HELD = []
ANSWER = {answer!r}

def act(phase, load=None):
    if phase == {phase!r}:
        {act}

act("import")

def open_session(load):
    act("load", load)
    return Session(load)

class Session:
    streams = 1

    def __init__(self, load):
        self.inputs, self.outputs = load.inputs, load.outputs

    def bind(self, slots=1):
        return tuple(Binding(self) for _ in range(slots))

    def run(self, feeds):
        (binding,) = self.bind()
        return binding.run()

    def close(self):
        pass

class Binding:
    def __init__(self, owner):
        self.inputs = {{spec.name: spec.empty() for spec in owner.inputs}}
        self.owner = owner

    def run(self):
        act("run")
        outputs = {{spec.name: np.zeros(spec.shape, spec.dtype) for spec in self.owner.outputs}}
        name = self.owner.outputs[0].name
        if ANSWER == "nan":
            outputs[name][0] = np.nan
        elif ANSWER == "nan for zeros" and not any(array.any() for array in self.inputs.values()):
            outputs[name][0] = np.nan
        elif ANSWER == "infinite":
            outputs[name][0] = np.inf
        elif ANSWER == "short":
            outputs[name] = outputs[name][..., :-1]
        elif ANSWER == "double":
            outputs[name] = outputs[name].astype(np.float64)
        elif ANSWER == "nothing":
            del outputs[name]
        return outputs
"""

_OPENVINO = """
import os, signal, sys
import numpy as np
__version__ = "9.9.9"
HELD = []

def act(phase):
    if phase == {phase!r}:
        {act}

act("import")

class Port:
    def __init__(self, name, shape):
        self.name, self.shape = name, shape
    def get_names(self):
        return {{self.name}}
    def get_partial_shape(self):
        return [Length(n) for n in self.shape]
    def get_element_type(self):
        return self
    def get_type_name(self):
        return "f32"

class Length:
    is_static = True
    def __init__(self, length):
        self.length = length
    def get_length(self):
        return self.length

class Tensor:
    def __init__(self, array, shared_memory):
        self.array = array

class Core:
    def read_model(self, model, weights):
        return self
    def is_dynamic(self):
        return False
    def compile_model(self, model, device, settings):
        act("load")
        return Compiled()

class Compiled:
    inputs = [Port("image", (1, 3, 16, 16))]
    outputs = [Port("logits", (1, 5))]
    def input(self, name):
        return self.inputs[0]
    def output(self, name):
        return self.outputs[0]
    def get_property(self, name):
        return {{"NUM_STREAMS": 1, "EXECUTION_DEVICES": ["CPU"]}}[name]
    def create_infer_request(self):
        return Request()

class Request:
    def set_tensor(self, port, tensor):
        self.array = tensor.array  # the output's is set last
    def start_async(self):
        act("run")
        self.array[...] = np.nan
    def wait(self):
        pass
"""


def session_module(
    folder: Path, name: str, act: str = "fine", phase: str = "import", *, answer: str = "", version: str = "1.0"
) -> Path:
    """Write a runtime module that behaves as told in a phase (`import`, `load`, `run`), and return its file."""
    path = folder / f"{name}.py"
    path.write_text(_SESSION.format(version=version, act=ACTS[act], phase=phase, answer=answer))
    return path


def openvino_package(folder: Path, act: str, phase: str = "import") -> Path:
    """Write a package `openvino` that knows the tiny CNN and answers NaN, or does worse before; return its folder."""
    package = folder / "openvino"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(_OPENVINO.format(act=ACTS[act], phase=phase))
    return folder
