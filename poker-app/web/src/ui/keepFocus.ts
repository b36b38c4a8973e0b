/**
 * Some controls are removed by pressing them, and the browser would move the focus to the top of the page.
 * Moves it to the first control of the nearest ancestor that remains. Pass it as `ref` of the box.
 */
export function keepFocus(box: HTMLElement) {
  /** The focused control and its ancestors up to the box. */
  let path: Element[] = []

  function remember({ target }: FocusEvent) {
    path = []
    let element = target as Element | null
    for (; element && element !== box; element = element.parentElement) path.push(element)
  }

  function forget() {
    // Removal takes the focus too; only a control that remains has been left by the user.
    queueMicrotask(() => {
      if (path[0]?.isConnected && document.activeElement !== path[0]) path = []
    })
  }

  const observer = new MutationObserver(() => {
    if (path.length === 0 || path[0]?.isConnected || document.activeElement !== document.body)
      return
    for (const ancestor of path.filter((element) => element.isConnected)) {
      const control = ancestor.querySelector<HTMLElement>(
        'button:not([disabled]), input:not([disabled])',
      )
      control?.focus({ preventScroll: true })
      if (control && document.activeElement === control) return
    }
    path = []
  })
  box.addEventListener('focusin', remember)
  box.addEventListener('focusout', forget)
  observer.observe(box, { childList: true, subtree: true })
  return () => {
    box.removeEventListener('focusin', remember)
    box.removeEventListener('focusout', forget)
    observer.disconnect()
  }
}
