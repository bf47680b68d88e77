"""Viewers get the newest annotated picture, once encoded; slow ones get fewer; losses and ends are told."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from page_client import PATIENCE_S, MakePage, Viewer

import fer_edge.web.viewers as viewers_module
from fer_edge.draw import annotate
from fer_edge.stream import StreamResult
from fer_edge.web import LivePage
from fer_edge.web.viewers import MAX_UNANSWERED, MAX_VIEWERS

Results = Callable[..., list[StreamResult]]
Watch = Callable[[], Viewer]
WaitFor = Callable[[Callable[[], bool]], None]


def _difference(first: Any, second: Any) -> float:
    assert first.shape == second.shape
    return float(np.abs(first.astype(int) - second).mean())


@pytest.fixture
def quick_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state of the source is asked for each few milliseconds."""
    monkeypatch.setattr(viewers_module, "TICK_S", 0.02)


def test_a_viewer_sees_the_annotated_picture_and_the_faces(
    page: LivePage, watch: Watch, make_results: Results
) -> None:
    result = make_results(10)[-1]
    viewer = watch()
    page.frame(result)
    fields, picture = viewer.picture()
    assert result.frame is not None
    expected = annotate(result.frame, result.faces, charts=False)
    # What JPEG changes, and not the box and the label.
    assert _difference(picture, expected) < 3 < _difference(picture, result.frame)
    (face,) = result.faces
    assert fields["faces"] == [
        {
            "id": face.id,
            "label": face.label,
            "confidence": pytest.approx(face.confidence, abs=1e-3),
            "probabilities": pytest.approx(list(face.probabilities.values()), abs=1e-3),
            "abstains": face.abstain_reason,
        }
    ]
    assert (fields["frames"], fields["viewers"], fields["state"], fields["ends"]) == (1, 1, "reading", False)


def test_frames_that_nobody_watches_cost_nothing(
    page: LivePage, watch: Watch, make_results: Results, wait_for: WaitFor
) -> None:
    results = make_results(20)
    for result in results[:10]:
        page.frame(result)
    assert page.info() == {"viewers": 0, "pictures": 0}
    # Somebody who opens the page now sees the newest one, and what happened before.
    viewer = watch()
    fields, picture = viewer.receive()
    assert picture is None
    assert [event["kind"] for event in fields["events"]] == [
        event.kind for result in results[:10] for event in result.events
    ]
    assert fields["samples"]
    viewer.answer()
    viewer.picture()
    viewer.close()
    wait_for(lambda: page.info()["viewers"] == 0)
    made = page.info()["pictures"]
    for result in results[10:]:
        page.frame(result)
    # The viewer may have asked for one more before it left.
    assert page.info()["pictures"] <= made + 1


def test_several_viewers_cost_one_encoding(page: LivePage, watch: Watch, make_results: Results) -> None:
    viewers = [watch() for _ in range(3)]
    results = make_results(12)
    for result in results:
        page.frame(result)
        pictures = []
        for viewer in viewers:
            pictures.append(viewer.picture()[1])
            viewer.answer()
        assert all(np.array_equal(picture, pictures[0]) for picture in pictures)
    assert page.info() == {"viewers": 3, "pictures": len(results)}


def test_a_slow_viewer_slows_nobody_and_then_gets_the_newest(
    page: LivePage, watch: Watch, make_results: Results
) -> None:
    slow, quick = watch(), watch()
    results = make_results(30)
    for result in results:
        page.frame(result)
        quick.picture()
        quick.answer()
    # Two messages are on their way to the viewer that does not answer, and no third.
    for _ in range(MAX_UNANSWERED):
        fields, _ = slow.receive()
        assert fields["frames"] < len(results)
    with pytest.raises(TimeoutError):
        slow.receive(0.7)
    slow.answer()
    fields, picture = slow.receive()
    assert fields["frames"] == len(results)
    assert picture is not None
    # It has missed pictures, and no event.
    assert page.info()["pictures"] == len(results)


def test_no_event_is_lost_where_pictures_are(page: LivePage, watch: Watch, make_results: Results) -> None:
    viewer, results = watch(), make_results(30)
    for result in results:
        page.frame(result)
    expected = [event.to_dict()["kind"] for result in results for event in result.events]
    found: list[str] = []
    while len(found) < len(expected):
        fields, _ = viewer.receive()
        viewer.answer()
        found += [event["kind"] for event in fields["events"]]
    assert found == expected
    assert page.info()["pictures"] < len(results)


def test_a_lost_source_and_its_return(make_page: MakePage, quick_ticks: None) -> None:
    info = {"name": "camera 0", "state": "reading", "frames": 0, "dropped": 0, "reconnects": 0}
    page = make_page(source_info=lambda: dict(info))
    viewer = Viewer(page.url)

    def next_state(other_than: str) -> tuple[str, list[str]]:
        kinds: list[str] = []
        while True:
            fields, _ = viewer.receive()
            viewer.answer()
            kinds += [event["kind"] for event in fields["events"]]
            if fields["state"] != other_than:
                return fields["state"], kinds

    assert next_state("") == ("reading", [])
    info["state"] = "reconnecting"
    assert next_state("reading") == ("reconnecting", ["source_lost"])
    info.update(state="reading", reconnects=1)
    assert next_state("reconnecting") == ("reading", ["source_back"])
    # A loss that is too short to be seen.
    info["reconnects"] = 2
    kinds: list[str] = []
    while len(kinds) < 2:
        kinds += [event["kind"] for event in viewer.receive()[0]["events"]]
        viewer.answer()
    assert kinds == ["source_lost", "source_back"]
    viewer.close()


def test_a_source_that_gives_no_state_keeps_the_last_one(
    make_page: MakePage, wait_for: WaitFor, caplog: pytest.LogCaptureFixture, quick_ticks: None
) -> None:
    info = {"name": "camera 0", "state": "reading", "frames": 0, "dropped": 0, "reconnects": 0}
    fails, calls = threading.Event(), []

    def source_info() -> dict[str, Any]:
        calls.append(1)
        if fails.is_set():
            raise RuntimeError("it was closed")
        return dict(info)

    page = make_page(source_info=source_info)
    viewer = Viewer(page.url)

    def wait_for_state(state: str) -> None:
        while viewer.receive()[0]["state"] != state:
            viewer.answer()
        viewer.answer()

    fails.set()
    called = len(calls)
    wait_for(lambda: len(calls) >= called + 2)
    wait_for_state("reading")
    info["state"] = "reconnecting"
    fails.clear()
    wait_for_state("reconnecting")
    fails.set()
    page.close()
    while not (fields := viewer.receive()[0])["ends"]:
        pass
    assert fields["state"] == "reconnecting"
    with pytest.raises(OSError, match=r"refused"):
        Viewer(page.url)
    messages = [record.getMessage() for record in caplog.records if record.name == "fer_edge"]
    expected = "the live page shows the last state of the source: RuntimeError('it was closed')"
    assert messages == [expected] * 2
    viewer.close()


def test_a_new_stream_behind_the_page_was_not_lost(make_page: MakePage, quick_ticks: None) -> None:
    info = {"name": "camera 0", "state": "reading", "frames": 9, "dropped": 0, "reconnects": 3}
    page = make_page(source_info=lambda: dict(info))
    viewer = Viewer(page.url)
    info.update(frames=0, reconnects=0, state="paused")
    kinds: list[str] = []
    fields: dict[str, Any] = {"state": "reading"}
    while fields["state"] != "paused":
        fields, _ = viewer.receive()
        viewer.answer()
        kinds += [event["kind"] for event in fields["events"]]
    assert kinds == []
    viewer.close()


def test_the_end_is_told_also_to_a_viewer_that_does_not_answer(make_page: MakePage) -> None:
    page = make_page()
    slow, quick = Viewer(page.url), Viewer(page.url)
    for _ in range(MAX_UNANSWERED):
        slow.receive()
    closing = threading.Thread(target=page.close)
    closing.start()
    assert slow.receive()[0]["ends"]
    while not quick.receive()[0]["ends"]:
        pass
    closing.join(PATIENCE_S)
    assert not closing.is_alive()
    assert not [
        thread for thread in threading.enumerate() if thread.name in ("fer_edge-web", "fer_edge-pictures")
    ]
    with pytest.raises(OSError, match=r"refused"):
        Viewer(page.url)
    page.close()
    slow.close()
    quick.close()


def test_a_large_frame_is_sent_small(page: LivePage, watch: Watch, make_results: Results) -> None:
    result = make_results(10)[-1]
    assert result.frame is not None
    (face,) = result.faces
    scale = 2560 / result.frame.shape[1]
    large = cv2.resize(result.frame, None, fx=scale, fy=scale)
    x0, y0, x1, y1 = (value * scale for value in face.box)
    landmarks = tuple((x * scale, y * scale) for x, y in face.landmarks)
    moved = replace(face, box=(x0, y0, x1, y1), landmarks=landmarks)
    viewer = watch()
    page.frame(replace(result, frame=large, faces=(moved,)))
    _, picture = viewer.picture()
    assert max(picture.shape) == 1280
    small = cv2.resize(large, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    halved = replace(
        face,
        box=(x0 / 2, y0 / 2, x1 / 2, y1 / 2),
        landmarks=tuple((x / 2, y / 2) for x, y in landmarks),
    )
    assert _difference(picture, annotate(small, [halved], charts=False)) < 3


def test_grey_and_nv12_frames(make_page: MakePage, make_results: Results) -> None:
    result = make_results(10, grey=True)[-1]
    assert result.frame is not None
    height, width = result.frame.shape
    nv12 = np.concatenate([result.frame, np.full((height // 2, width), 128, np.uint8)])
    for layout, frame in ((None, result.frame), ("nv12", nv12)):
        page = make_page(layout=layout)
        viewer = Viewer(page.url)
        page.frame(replace(result, frame=frame))
        _, picture = viewer.picture()
        assert _difference(picture, annotate(frame, result.faces, layout=layout, charts=False)) < 3
        viewer.close()


def test_a_frame_that_cannot_be_drawn_is_reported(
    page: LivePage, watch: Watch, make_results: Results, wait_for: WaitFor
) -> None:
    result = make_results(1)[0]
    watch()

    def is_reported() -> bool:
        try:
            page.frame(replace(result, frame=np.zeros((3, 3, 3, 3), np.uint8)))
        except RuntimeError as error:
            return str(error) == "the live page could not draw a frame" and isinstance(
                error.__cause__, ValueError
            )
        return False

    wait_for(is_reported)


def test_the_number_of_viewers_is_bounded(page: LivePage, watch: Watch) -> None:
    for _ in range(MAX_VIEWERS):
        watch()
    with pytest.raises(Exception, match=f"at most {MAX_VIEWERS} viewers"):
        watch()
    assert page.info()["viewers"] == MAX_VIEWERS
