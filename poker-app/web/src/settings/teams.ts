/** The teams that this browser has been in, newest first. */
import type { Role } from '../protocol/protocol'
import { isRecord, local, readJson, writeJson } from './storage'

export interface KnownTeam {
  slug: string
  name: string
  role: Role
}

const KEY = 'poker:teams'
const TEAMS_MAX = 12

export function parse(stored: unknown): KnownTeam[] {
  if (!Array.isArray(stored)) return []
  return stored
    .filter(isRecord)
    .flatMap(({ slug, name, role }) =>
      typeof slug === 'string' && typeof name === 'string'
        ? [{ slug, name, role: role === 'observer' ? ('observer' as const) : ('voter' as const) }]
        : [],
    )
    .slice(0, TEAMS_MAX)
}

export function withTeam(teams: readonly KnownTeam[], team: KnownTeam): KnownTeam[] {
  return [team, ...teams.filter(({ slug }) => slug !== team.slug)].slice(0, TEAMS_MAX)
}

export function knownTeams(): KnownTeam[] {
  return parse(readJson(local, KEY))
}

export function knownTeam(slug: string): KnownTeam | null {
  return knownTeams().find((team) => team.slug === slug) ?? null
}

export function rememberTeam(team: KnownTeam): void {
  writeJson(local, KEY, withTeam(knownTeams(), team))
}

export function forgetTeam(slug: string): void {
  writeJson(
    local,
    KEY,
    knownTeams().filter((team) => team.slug !== slug),
  )
}
