"""The usual mistakes in feeding and reading a model, as data: what the application does, and what to change.

A mistake is written `name` or `name:found`, as `interpolation:area`; the texts say `{found}` for what the application
does and `{wanted}` for what the bundle asks for.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Mistake:
    """One kind of mistake.

    Attributes:
        says: what the application does instead.
        mend: the line of code to change, in words.
    """

    says: str
    mend: str


MISTAKES: dict[str, Mistake] = {
    # The picture and its geometry.
    "exif_ignored": Mistake(
        "the picture's EXIF orientation is ignored, so it is fed turned",
        "Turn the picture as its EXIF says: PIL `ImageOps.exif_transpose(image)`; OpenCV without "
        "IMREAD_IGNORE_ORIENTATION and IMREAD_UNCHANGED.",
    ),
    "stretched": Mistake(
        "the picture is stretched to the input's size; the model takes {wanted}",
        "Replace the plain resize by {wanted}.",
    ),
    "letterboxed": Mistake(
        "the picture is letterboxed; the model takes {wanted}",
        "Replace the letterbox by {wanted}.",
    ),
    "letterbox_corner": Mistake(
        "the letterbox puts the picture into the top left corner; the model takes {wanted}",
        "Put half of the border on each side (boxes must then be shifted back by as much).",
    ),
    "letterbox_rounding": Mistake(
        "the letterbox rounds the picture's size down, which makes it one pixel smaller",
        "Use `round(width * scale)` in place of `int(width * scale)`; boxes move by less than a pixel.",
    ),
    "center_cropped": Mistake(
        "the middle of the picture is cropped; the model takes {wanted}",
        "Remove the centre crop and use {wanted}.",
    ),
    "crop_fraction": Mistake(
        "the centre crop keeps {found} of the short side; the model takes {wanted}",
        "Resize the short side to the input's size divided by {wanted} before cropping (256 for 224 is 0.875).",
    ),
    "crop_only": Mistake(
        "the middle of the picture is cut out without any resize; the model takes {wanted}",
        "Resize before cropping: the model takes {wanted}.",
    ),
    "crop_after_resize": Mistake(
        "the same crop is made by resizing first, which shifts it by a part of a pixel",
        "Usually harmless. To be exact, crop the original picture first and resize the crop.",
    ),
    "size_swapped": Mistake(
        "height and width are swapped in the resize",
        "OpenCV's and PIL's sizes are (width, height), numpy's shapes (height, width): swap the two arguments.",
    ),
    "size_other": Mistake(
        "the tensor is {found} pixels; the model takes {wanted}",
        "Resize to {wanted} (height x width).",
    ),
    "interpolation": Mistake(
        "the resize uses {found} interpolation; the bundle's is {wanted}",
        "Change the resize's interpolation from {found} to {wanted}.",
    ),
    "pad": Mistake(
        "the letterbox is padded with {found}; the model takes {wanted}",
        "Change the letterbox' fill value from {found} to {wanted}.",
    ),
    "pad_after_normalising": Mistake(
        "the letterbox is padded with 0 after mean and std are applied; the model takes pixels of {wanted}",
        "Pad the picture with {wanted} before it is normalised.",
    ),
    # Colour.
    "channels_swapped": Mistake(
        "the channels are in {found} order; the model takes {wanted}",
        "Swap the channels (`image[..., ::-1]`, or cv2.cvtColor); OpenCV reads BGR, PIL reads RGB.",
    ),
    "gray_fed": Mistake(
        "a grey picture is fed; the model takes {wanted}",
        "Read the picture in colour (no IMREAD_GRAYSCALE, no convert('L')).",
    ),
    "colour_fed": Mistake(
        "three channels ({found}) are fed; the model takes one of grey",
        "Convert to grey before the model: cv2.cvtColor(image, cv2.COLOR_BGR2GRAY).",
    ),
    "gray_weights_swapped": Mistake(
        "grey is computed with the weights of red and blue swapped",
        "Use COLOR_BGR2GRAY on what OpenCV reads, COLOR_RGB2GRAY on RGB.",
    ),
    "gray_mean": Mistake(
        "grey is the plain mean of the channels",
        "Use 0.299 R + 0.587 G + 0.114 B (cv2.cvtColor, PIL convert('L')).",
    ),
    "one_plane": Mistake(
        "only the {found} channel is fed as grey",
        "Convert to grey (cv2.cvtColor) instead of taking one channel.",
    ),
    # Values.
    "not_normalised": Mistake(
        "pixels of 0..255 are fed as they are; the model takes (pixel - mean) / std with {wanted}",
        "Apply mean and std before the model: {wanted}.",
    ),
    "scale_missing": Mistake(
        "the division by 255 is missing (constants for 0..1 meet pixels of 0..255)",
        "Divide by 255 first (`image.astype(numpy.float32) / 255`).",
    ),
    "scaled_twice": Mistake(
        "the division by 255 is done twice",
        "Remove one of the two divisions (ToTensor and a float image scale each by themselves).",
    ),
    "normalised_twice": Mistake(
        "mean and std are applied twice",
        "Remove one of the two normalisations (some runtimes or artifacts have one folded in).",
    ),
    "mean_missing": Mistake("the mean is not subtracted", "Subtract the mean: {wanted}."),
    "std_missing": Mistake("the division by std is missing", "Divide by std: {wanted}."),
    "mean_std_order": Mistake(
        "mean and std are applied in the opposite channel order",
        "Reverse mean and std: the first value belongs to the first channel of the tensor.",
    ),
    "normalisation": Mistake(
        "values are normalised as {found}; the model takes {wanted}",
        "Replace mean and std by {wanted} (in pixels of 0..255).",
    ),
    "normalisation_other": Mistake(
        "values are scaled by none of the usual constants: measured {found}; the model takes {wanted}",
        "Look for the scaling in the code and replace it by {wanted} (in pixels of 0..255).",
    ),
    "channels_other": Mistake(
        "the channels are {found}; the model takes {wanted}",
        "Put the channels into the order {wanted}.",
    ),
    # Layout and type.
    "layout": Mistake(
        "the tensor is laid out as {found}; the model takes {wanted}",
        "Bring the axes into the order {wanted} (`numpy.transpose`, and `[None]` for the batch), not by reshape.",
    ),
    "reshaped": Mistake(
        "the axes were reordered by reshape, which scrambles the picture",
        "Use `numpy.transpose(image, (2, 0, 1))` in place of `reshape`.",
    ),
    "transposed": Mistake(
        "height and width are exchanged in the tensor: the picture lies on its diagonal",
        "Check the transpose: (H, W, C) to (C, H, W) is `transpose(2, 0, 1)`, not `.T`.",
    ),
    "alpha": Mistake("a fourth (alpha) channel is fed", "Drop the alpha channel: `image[..., :3]`."),
    "dtype": Mistake(
        "the tensor's type is {found}; the model takes {wanted}",
        "Convert at the end: `tensor.astype(numpy.{wanted})`.",
    ),
    "float16_values": Mistake(
        "the values were rounded to half precision on the way",
        "Keep float32 up to the model; usually harmless.",
    ),
    "cast": Mistake(
        "normalised values were cast to {found}, which destroys them",
        "Convert to float32 before mean and std, and do not cast back.",
    ),
    # Outputs.
    "outputs_transposed": Mistake(
        "the output's last two axes are exchanged",
        "Transpose the output back before decoding: `output.swapaxes(1, 2)`.",
    ),
    "softmax_missing": Mistake(
        "the scores are before the softmax; the bundle's are after it", "Apply softmax over the classes."
    ),
    "sigmoid_missing": Mistake(
        "the scores are before the sigmoid; the bundle's are after it", "Apply sigmoid to the scores."
    ),
    "softmax_applied": Mistake(
        "a softmax is already applied; the bundle's output is before it",
        "Do not apply softmax again in the code that reads this output.",
    ),
    "sigmoid_applied": Mistake(
        "a sigmoid is already applied; the bundle's output is before it",
        "Do not apply sigmoid again in the code that reads this output.",
    ),
    "softmax_twice": Mistake("softmax is applied twice", "Remove one softmax: scores become nearly equal by it."),
    "sigmoid_twice": Mistake("sigmoid is applied twice", "Remove one sigmoid: all scores lie above 0.5 by it."),
    "wrong_activation": Mistake("{found} is applied in place of {wanted}", "Replace {found} by {wanted}."),
    "label_offset": Mistake(
        "the classes are shifted by {found}: class k stands where class k{found} belongs",
        "Check whether the labels count a background class, and shift them by one.",
    ),
    "background_added": Mistake(
        "there is one more class, at the {found}: a background",
        "Drop it (`scores[..., 1:]` or `scores[..., :-1]`), or use labels that name it.",
    ),
    "background_dropped": Mistake(
        "the {found} class of the bundle's output is missing",
        "Use labels without it, or keep the background class.",
    ),
    "box_format": Mistake(
        "boxes are {found}; the bundle's are {wanted}", "Convert the boxes from {found} to {wanted}."
    ),
    "box_units": Mistake(
        "boxes are in {found}; the bundle's are in {wanted}",
        "Multiply or divide x by the width and y by the height of the input.",
    ),
}


def name_of(mistake: str) -> str:
    """Return the kind of a mistake without what was found."""
    return mistake.partition(":")[0]


def texts(mistake: str, wanted: str) -> tuple[str, str]:
    """Return what the application does and what to change.

    Args:
        mistake: `name` or `name:found`.
        wanted: what the bundle asks for at this point.
    """
    name, _, found = mistake.partition(":")
    entry = MISTAKES[name]
    return entry.says.format(found=found, wanted=wanted), entry.mend.format(found=found, wanted=wanted)
