/** What a config that is about to be written says, before it is text. */
import type { ModelDeclaration } from '../config/config.ts'

export interface Draft {
  /** Above the config. */
  readonly intro: readonly string[]
  readonly items: readonly DraftItem[]
  readonly keep: readonly KeptModel[]
}

/** A model, a line of comment, or (empty comment) a blank line. */
export type DraftItem =
  | { readonly comment: string }
  | { readonly declaration: string | ModelDeclaration; readonly note?: string | undefined }

/** A model that is installed and cannot be declared so that it could be made again. */
export interface KeptModel {
  /** As it is listed. */
  readonly name: string
  /** As part of a sentence, such as `its base qwen3:8b is not installed`. */
  readonly reason: string
}
