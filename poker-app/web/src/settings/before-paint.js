// Sets the chosen theme and language before the first paint; see settings.ts for the stored form.
try {
  const stored = JSON.parse(localStorage.getItem('poker:settings')) || {}
  const { theme, language } = stored
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
  if (typeof language === 'string') document.documentElement.lang = language
} catch {
  // Without storage the page uses the system's theme.
}
