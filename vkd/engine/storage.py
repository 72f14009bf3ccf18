"""mmengine's local file backend, with files that are whole or absent."""

from mmengine.fileio import LocalBackend, register_backend

from ..io.files import write_whole


@register_backend('whole', force=True)
class WholeFileBackend(LocalBackend):
    """``backend_args=dict(backend='whole')`` of a CheckpointHook: a full disk or a kill leaves the previous file as it was."""

    def put(self, obj, filepath):
        write_whole(filepath, lambda file: file.write(obj))

    def put_text(self, obj, filepath, encoding='utf-8'):
        self.put(obj.encode(encoding), filepath)
