// The annotated picture.

import { percent } from "./words.js";

const canvas = document.getElementById("picture");
const context = canvas.getContext("2d");

export async function showPicture(jpeg) {
  const bitmap = await createImageBitmap(new Blob([jpeg], { type: "image/jpeg" }));
  if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
    canvas.width = bitmap.width;
    canvas.height = bitmap.height;
  }
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
}

export function describePicture(faces) {
  const count = faces.length === 1 ? "1 face" : `${faces.length} faces`;
  const words = faces.map((face) =>
    face.abstains ? `face ${face.id}: ${face.abstains}` : `face ${face.id}: ${face.label} ${percent(face.confidence)}`,
  );
  const text = ["Annotated picture", faces.length ? count : "no face", ...words].join(", ");
  if (canvas.ariaLabel !== text) canvas.ariaLabel = text;
}
