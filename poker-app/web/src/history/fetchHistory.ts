import type { TeamHistory } from '../protocol/protocol'

export function historyPath(team: string, format: 'json' | 'csv'): string {
  const path = `/api/teams/${encodeURIComponent(team)}/history`
  return format === 'csv' ? `${path}?format=csv` : path
}

export async function fetchHistory(team: string, signal: AbortSignal): Promise<TeamHistory> {
  const response = await fetch(historyPath(team, 'json'), { signal })
  if (!response.ok) throw new Error(`reading the history failed with status ${response.status}`)
  return (await response.json()) as TeamHistory
}
