/**
 * A control that goes with the press on it would take the focus to the top of the page: it passes to the
 * first control of the nearest part of the box that stays. To be given to the `ref` of the box.
 */
export function keepFocus(box: HTMLElement) {
  /** The control that has the focus and what is around it, without the box. */
  let path: Element[] = []

  function remember({ target }: FocusEvent) {
    path = []
    for (let at = target as Element | null; at && at !== box; at = at.parentElement) path.push(at)
  }

  function forget() {
    // Who leaves a control that stays has left; removal ends the focus too.
    queueMicrotask(() => {
      if (path[0]?.isConnected && document.activeElement !== path[0]) path = []
    })
  }

  const observer = new MutationObserver(() => {
    if (path.length === 0 || path[0]?.isConnected || document.activeElement !== document.body)
      return
    for (const around of path.filter((element) => element.isConnected)) {
      const control = around.querySelector<HTMLElement>(
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
