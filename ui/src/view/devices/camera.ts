// The camera as a QR code reader. The browser's own detector reads the frames where there is one;
// elsewhere, a decoder is loaded on first use.

/** Why there is no picture. */
export type CameraFault =
  /** The page was loaded at a path that may not use the camera (Permissions-Policy). */
  | "page"
  /** The user or the browser denied it. */
  | "denied"
  | "none"
  | "failed";

/** Part of the Shape Detection API, which TypeScript does not describe. */
interface Detector {
  detect(source: HTMLVideoElement): Promise<readonly { readonly rawValue: string }[]>;
}
interface DetectorClass {
  new (options: { formats: string[] }): Detector;
  getSupportedFormats(): Promise<readonly string[]>;
}
/** Part of the Permissions Policy API, in Chromium only. */
interface Policy {
  allowsFeature(feature: string): boolean;
}

/** Reads the text of a QR code in the current frame. */
export type ReadFrame = (video: HTMLVideoElement) => Promise<string | undefined>;

/** Larger frames take longer and are not read better. */
const MAX_SIDE = 720;

export async function openCamera(): Promise<MediaStream | CameraFault> {
  const { featurePolicy } = document as Document & { featurePolicy?: Policy };
  if (featurePolicy?.allowsFeature("camera") === false) return "page";
  // Absent without HTTPS, and in some embedded browsers.
  const devices = navigator.mediaDevices as MediaDevices | undefined;
  if (!devices) return "none";
  try {
    return await devices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    const name = error instanceof DOMException ? error.name : "";
    if (name === "NotAllowedError" || name === "SecurityError") return "denied";
    return name === "NotFoundError" || name === "OverconstrainedError" ? "none" : "failed";
  }
}

export async function createReader(): Promise<ReadFrame> {
  const { BarcodeDetector } = globalThis as { BarcodeDetector?: DetectorClass };
  const formats = (await BarcodeDetector?.getSupportedFormats().catch(() => [])) ?? [];
  if (BarcodeDetector && formats.includes("qr_code")) {
    const detector = new BarcodeDetector({ formats: ["qr_code"] });
    return async (video) => (await detector.detect(video))[0]?.rawValue;
  }
  const { default: decode } = await import("qr/decode.js");
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("2d", { willReadFrequently: true });
  return async (video) => {
    const { videoWidth, videoHeight } = video;
    if (!context || videoWidth === 0) return undefined;
    const scale = Math.min(1, MAX_SIDE / Math.max(videoWidth, videoHeight));
    canvas.width = Math.round(videoWidth * scale);
    canvas.height = Math.round(videoHeight * scale);
    context.drawImage(video, 0, 0, canvas.width, canvas.height);
    const { data, width, height } = context.getImageData(0, 0, canvas.width, canvas.height);
    try {
      return decode({ data, width, height });
    } catch {
      // No readable code in this frame.
      return undefined;
    }
  };
}
