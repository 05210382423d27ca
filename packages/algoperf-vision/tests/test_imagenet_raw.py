"""Reading ImageNet from archives, folders and exports, and saying what is wrong with them."""

import io
import itertools

import numpy as np
import pytest
import scipy.io
from raw_trees import image_file, jpeg, tar, write_parquet, write_tree

from algoperf_vision.imagenet_raw import (
    ImagenetSizes,
    read_test,
    read_train,
    read_validation,
    validation_labels,
)
from algoperf_vision.jpeg import ImageError, decode_image
from algoperf_vision.raw_data import RawDataError

WNIDS = ("n01440764", "n01443537", "n02084071")
SIZES = ImagenetSizes(num_classes=3, num_train=6, num_validation=4, num_test=3)
# Number of images of each class, and the colour of image k of class c.
PER_CLASS = (1, 3, 2)
# The kit numbers the classes in an order of its own, and has inner nodes of the hierarchy.
KIT_NUMBERS = {2: "n01440764", 3: "n01443537", 1: "n02084071", 4: "n00001740"}
TRUTH = (1, 3, 3, 2)
VALIDATION_LABELS = [2, 1, 1, 0]


def colour(label, number):
    return 20 + 60 * label + 10 * number


def colours(images):
    return [int(decode_image(image.data).mean().round()) for image in images]


def class_images(label):
    return {
        f"{WNIDS[label]}_{number}.JPEG": jpeg(colour(label, number))
        for number in range(PER_CLASS[label])
    }


def train_archive():
    # Not in the order of the labels.
    return tar({f"{WNIDS[label]}.tar": tar(class_images(label)) for label in (2, 0, 1)})


def validation_archive(count=4):
    names = {number: f"ILSVRC2012_val_{number + 1:08d}.JPEG" for number in range(count)}
    return tar({names[number]: jpeg(50 * number) for number in reversed(range(count))})


def devkit(truth=TRUTH, numbers=KIT_NUMBERS):
    fields = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("num_children", "O")]
    synsets = np.array(
        [(number, wnid, int(number == 4)) for number, wnid in numbers.items()], fields
    )
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"synsets": synsets})
    folder = "ILSVRC2012_devkit_t12"
    files = {
        f"{folder}/readme.txt": b"",
        f"{folder}/data/meta.mat": stream.getvalue(),
        f"{folder}/data/ILSVRC2012_validation_ground_truth.txt": "\n".join(
            map(str, truth)
        ).encode(),
    }
    return tar(files, "w:gz")


def v2_files():
    return {
        f"imagenetv2-matched-frequency-format-val/{label}/{name}.jpeg": jpeg(colour(label, 0))
        for label, name in ((2, "aa"), (0, "ff"), (1, "bb"))
    }


@pytest.fixture
def archives(tmp_path):
    files = {
        "ILSVRC2012_img_train.tar": train_archive(),
        "ILSVRC2012_img_val.tar": validation_archive(),
        "ILSVRC2012_devkit_t12.tar.gz": devkit(),
        "imagenetv2-matched-frequency.tar.gz": tar(v2_files(), "w:gz"),
    }
    return write_tree(tmp_path, files)


def unpacked_train():
    return {
        f"train/{WNIDS[label]}/{name}": data
        for label in range(3)
        for name, data in class_images(label).items()
    }


TRAIN_LABELS = [0, 1, 2, 1, 2, 1]
TRAIN_COLOURS = [colour(0, 0), colour(1, 0), colour(2, 0), colour(1, 1), colour(2, 1), colour(1, 2)]


def test_training_images_come_in_turn_from_every_class(archives):
    images = list(read_train(archives, SIZES))
    assert [image.label for image in images] == TRAIN_LABELS
    assert colours(images) == TRAIN_COLOURS


def test_files_are_handed_on_as_they_are(archives):
    assert next(read_train(archives, SIZES)).data == jpeg(colour(0, 0))


@pytest.mark.parametrize("place", [".", "imagenet", "imagenet/pytorch"])
def test_a_folder_of_classes_gives_the_same_as_the_archive(archives, tmp_path_factory, place):
    folder = tmp_path_factory.mktemp("raw")
    write_tree(folder / place, unpacked_train())
    assert list(read_train(folder, SIZES)) == list(read_train(archives, SIZES))


def test_validation_labels_count_sorted_wordnet_ids_not_the_numbers_of_the_kit(archives):
    path = archives / "ILSVRC2012_devkit_t12.tar.gz"
    assert validation_labels(path, 3) == VALIDATION_LABELS


def test_validation_images_are_matched_to_labels_by_their_number(archives):
    images = list(read_validation(archives, SIZES))
    assert [image.label for image in images] == VALIDATION_LABELS
    assert colours(images) == [0, 50, 100, 150]


def test_validation_images_sorted_into_class_folders_are_read(tmp_path):
    files = {f"val/{wnid}/ILSVRC2012_val_0000000{k}.JPEG": jpeg(9) for k, wnid in enumerate(WNIDS)}
    images = list(
        read_validation(write_tree(tmp_path, files), ImagenetSizes(num_classes=3, num_validation=3))
    )
    assert [image.label for image in images] == [0, 1, 2]


def test_the_test_set_is_labelled_by_the_names_of_its_folders(archives):
    images = list(read_test(archives, SIZES))
    assert [image.label for image in images] == [2, 0, 1]
    assert colours(images) == [colour(2, 0), colour(0, 0), colour(1, 0)]


def test_the_unpacked_test_set_comes_in_order_of_its_classes(tmp_path):
    images = list(read_test(write_tree(tmp_path, v2_files()), SIZES))
    assert [image.label for image in images] == [0, 1, 2]


def test_an_export_is_read_shard_by_shard(tmp_path):
    labels = [[2, 0, 1], [1, 1, 0]]
    for shard, some in enumerate(labels):
        images = [{"bytes": jpeg(colour(label, 0)), "path": "x"} for label in some]
        write_parquet(
            tmp_path / f"imagenet/data/train-0000{shard}-of-00002.parquet",
            {"image": images, "label": some, "other": [0] * 3},
        )
    images = list(read_train(tmp_path, SIZES))
    assert [image.label for image in images] == list(itertools.chain(*labels))
    assert colours(images) == [colour(image.label, 0) for image in images]


def test_a_png_under_the_name_of_a_jpeg_is_accepted(tmp_path):
    files = unpacked_train()
    files[f"train/{WNIDS[0]}/{WNIDS[0]}_0.JPEG"] = image_file(np.zeros((4, 5, 3), np.uint8), "png")
    assert len(list(read_train(write_tree(tmp_path, files), SIZES))) == 6


def test_what_is_missing_is_said_with_where_it_was_looked_for_and_where_to_get_it(tmp_path):
    with pytest.raises(RawDataError) as error:
        read_train(tmp_path, SIZES)
    for part in ("ILSVRC2012_img_train.tar", str(tmp_path), "https://image-net.org"):
        assert part in str(error.value)
    with pytest.raises(RawDataError, match=r"ILSVRC2012_img_val\.tar"):
        read_validation(tmp_path, SIZES)
    with pytest.raises(RawDataError, match=r"imagenetv2-matched-frequency\.tar\.gz"):
        read_test(tmp_path, SIZES)


def test_validation_images_without_the_kit_are_refused(archives):
    (archives / "ILSVRC2012_devkit_t12.tar.gz").unlink()
    with pytest.raises(RawDataError, match=r"labels of .*ILSVRC2012_devkit_t12\.tar\.gz"):
        read_validation(archives, SIZES)


@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.9])
def test_an_archive_that_ends_early_is_never_taken_for_whole(archives, share):
    path = archives / "ILSVRC2012_img_train.tar"
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data.rstrip(b"\0")))])
    with pytest.raises((RawDataError, ImageError), match=r"ILSVRC2012_img_train|training images"):
        list(read_train(archives, SIZES))


@pytest.mark.parametrize(
    "name", ["imagenetv2-matched-frequency.tar.gz", "ILSVRC2012_devkit_t12.tar.gz"]
)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.9])
def test_a_compressed_archive_that_ends_early_is_named(archives, name, share):
    path = archives / name
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(RawDataError, match=f"{name}: cannot be read"):
        list(read_test(archives, SIZES)) + list(read_validation(archives, SIZES))


def test_a_file_that_is_no_archive_is_named(archives):
    (archives / "ILSVRC2012_img_train.tar").write_bytes(b"<html>Please log in</html>" * 100)
    with pytest.raises(RawDataError, match=r"ILSVRC2012_img_train\.tar: cannot be read"):
        list(read_train(archives, SIZES))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_train": 7}, "training images: found 6, expected 7"),
        ({"num_train": 5}, "training images: found 6, expected 5"),
        ({"num_classes": 4}, "archives of classes: found 3, expected 4"),
    ],
)
def test_wrong_numbers_are_refused(archives, change, message):
    sizes = ImagenetSizes(**{"num_classes": 3, "num_train": 6, **change})
    with pytest.raises(RawDataError, match=message):
        list(read_train(archives, sizes))


def test_a_folder_with_a_class_too_few_is_refused(tmp_path):
    files = {name: data for name, data in unpacked_train().items() if WNIDS[2] not in name}
    with pytest.raises(RawDataError, match="folders of classes: found 2, expected 3"):
        read_train(write_tree(tmp_path, files), SIZES)


def test_a_class_without_images_is_noticed(tmp_path):
    files = {
        "imagenetv2-matched-frequency-format-val/0/a.jpeg": jpeg(1),
        "imagenetv2-matched-frequency-format-val/0/b.jpeg": jpeg(1),
        "imagenetv2-matched-frequency-format-val/1/c.jpeg": jpeg(1),
    }
    with pytest.raises(RawDataError, match="classes that occur: found 2, expected 3"):
        list(read_test(write_tree(tmp_path, files), SIZES))


def test_labels_beyond_the_classes_are_refused(tmp_path):
    write_tree(tmp_path, {"imagenet_v2/7/a.jpeg": jpeg(1)})
    with pytest.raises(RawDataError, match="label 7; allowed are 0 to 2"):
        list(read_test(tmp_path, SIZES))


def test_a_test_set_in_folders_of_other_names_is_refused(tmp_path):
    write_tree(tmp_path, {"imagenet_v2/n01440764/a.jpeg": jpeg(1)})
    with pytest.raises(RawDataError, match=r"must be the number of its class.*n01440764"):
        list(read_test(tmp_path, SIZES))


def test_a_kit_of_another_year_is_refused(archives):
    path = archives / "ILSVRC2012_devkit_t12.tar.gz"
    path.write_bytes(tar({"kit/data/other.mat": b""}, "w:gz"))
    with pytest.raises(RawDataError, match="has no file data/ILSVRC2012_validation_ground_truth"):
        read_validation(archives, SIZES)


def test_labels_and_images_of_different_number_are_refused(archives):
    (archives / "ILSVRC2012_img_val.tar").write_bytes(validation_archive(3))
    with pytest.raises(RawDataError, match=r"ILSVRC2012_img_val\.tar: images: found 3, expected 4"):
        list(read_validation(archives, SIZES))


def test_an_unreadable_image_is_named(tmp_path):
    files = unpacked_train()
    name = f"{WNIDS[1]}_1.JPEG"
    files[f"train/{WNIDS[1]}/{name}"] = b"\xff\xd8 not an image"
    with pytest.raises(ImageError, match=f"{name}: cannot be decoded"):
        list(read_train(write_tree(tmp_path, files), SIZES))


def test_an_image_that_was_cut_off_is_named_while_the_data_are_prepared(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 60, 3), np.uint8)
    files = unpacked_train()
    name = sorted(files)[0]
    whole = image_file(noise)
    write_tree(tmp_path, {**files, name: whole + b"a note"})
    assert len(list(read_train(tmp_path, SIZES))) == len(files)
    write_tree(tmp_path, {name: whole[: len(whole) // 2]})
    with pytest.raises(ImageError, match=f"{name}: cannot be decoded"):
        list(read_train(tmp_path, SIZES))
