// Before the first paint, so that the chosen theme does not flash.
try {
  const theme = localStorage.getItem("gatehouse.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is refused: the system's theme it is.
}
