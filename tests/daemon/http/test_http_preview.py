"""The preview: the last key frame, small, at most once a second."""

import io
from dataclasses import replace

import av
import numpy as np
import pytest

PATH = "/api/preview.jpg"


def pixels(response):
    with av.open(io.BytesIO(response.content)) as container:
        return next(container.decode(video=0)).to_ndarray(format="gray")


def test_there_is_none_before_the_camera_has_delivered_one(client):
    response = client.get(PATH)
    assert response.status_code == 204
    assert response.content == b""


@pytest.mark.parametrize(
    ("width", "height", "pixel_aspect", "shape"),
    [
        (1280, 720, (1, 1), (270, 480)),
        (320, 240, (1, 1), (240, 320)),
        (480, 1080, (1, 1), (1080, 480)),
        (720, 576, (16, 15), (360, 480)),
        (322, 182, (1, 1), (182, 322)),
    ],
)
def test_it_is_the_picture_scaled_to_480_pixels(
    client, camcorder, film, width, height, pixel_aspect, shape
):
    film(width, height, 128, pixel_aspect)
    response = client.get(PATH)
    assert response.headers["Content-Type"] == "image/jpeg"
    picture = pixels(response)
    assert picture.shape == shape
    assert np.abs(picture.astype(int) - 128).max() <= 3


def test_black_is_black_and_white_is_white(client, camcorder, now_s, film):
    for grey in (0, 255):
        film(320, 240, grey)
        assert np.abs(pixels(client.get(PATH)).astype(int) - grey).max() <= 2
        now_s.now += 1


def test_a_new_one_is_made_once_a_second_and_only_of_a_new_picture(client, camcorder, now_s, film):
    film(320, 240, 20)
    first = client.get(PATH)
    film(320, 240, 200)
    now_s.now += 0.9
    assert client.get(PATH).content == first.content
    now_s.now += 0.1
    second = client.get(PATH)
    assert second.headers["ETag"] != first.headers["ETag"]
    assert pixels(second).mean() == pytest.approx(200, abs=2)


def test_one_that_is_known_is_not_sent_again(client, camcorder, now_s, film):
    film(320, 240, 20)
    tag = client.get(PATH).headers["ETag"]
    again = client.get(PATH, headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag)
    film(320, 240, 99)
    now_s.now += 1
    assert client.get(PATH, headers={"If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize(
    ("codec", "data"),
    [("h264", b"\0\0\0\x05\x65\xff\xff\xff\xff"), ("h264", b"\0"), ("no such", b"")],
)
def test_one_that_cannot_be_decoded_is_said_to_be_so(client, camcorder, film, codec, data):
    film(320, 240, 20)
    camcorder.newest_picture = replace(camcorder.newest_picture, data=data)
    camcorder.formats = (replace(camcorder.formats[0], codec=codec),)
    response = client.get(PATH)
    assert response.status_code == 409
    assert f"the camera's {codec} picture cannot be decoded" in response.json()["error"]


def test_it_is_gone_when_the_camera_is(client, camcorder, film):
    film(320, 240, 20)
    assert client.get(PATH).status_code == 200
    camcorder.newest_picture = None
    assert client.get(PATH).status_code == 204
