"""Run by ComfyUI before it imports torch: from here on it is watched, ten minutes of silence granted for its start."""

import hangwatch

try:
    hangwatch.attach("comfyui").extend(600)
except hangwatch.Error:
    # Said when the node itself is loaded.
    pass
