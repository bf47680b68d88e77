"""Differences between a smaller or faster file and its reference."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Differences:
    """What changes between a reference ("before") and another file of the same network ("after").

    Attributes:
        pictures: number of face crops, or of photographs for a detector.
        largest_difference: of a probability at the spec's temperature; for a detector of a face's score,
            which is 0 in the file that does not find the face.
        mean_difference: the mean of the same.
        changed_labels: share of the crops whose label changes; for a detector the faces that only one of the
            files finds, as a share of the reference's.
        accuracy_before: share of right labels; None without labels and for detectors.
        accuracy_after: the same of the other file.
        largest_check_difference: of a probability of the crop check, the second output of an expression
            network; None without one.
        mean_box_distance: of detectors: the largest change of a side of a face's box, as a share of its
            longer side in the reference, the mean over the faces that both files find; None without one.
        mean_landmark_distance: the same of the landmark that moves most.
    """

    pictures: int
    largest_difference: float
    mean_difference: float
    changed_labels: float
    accuracy_before: float | None = None
    accuracy_after: float | None = None
    largest_check_difference: float | None = None
    mean_box_distance: float | None = None
    mean_landmark_distance: float | None = None

    @property
    def loss(self) -> float:
        """Lost accuracy in percentage points; 0 where it is not measured."""
        if self.accuracy_before is None or self.accuracy_after is None:
            return 0.0
        return 100 * (self.accuracy_before - self.accuracy_after)
