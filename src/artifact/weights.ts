/** What a server tells of a model's weights, in the words that it writes into the config of what it builds from them. */

/** Facts of a GGUF file that `/api/show` gives in `model_info`. */
export interface Weights {
  readonly architecture: string
  readonly parameterCount: number
  /** Number of the quantization in GGUF files. */
  readonly fileType: number
}

/** By number (llama_ftype); numbers that are not here are unknown to Ollama 0.33. It takes 0, which is F32, for not given. */
const fileTypes: Readonly<Record<number, string>> = {
  1: 'F16',
  2: 'Q4_0',
  3: 'Q4_1',
  7: 'Q8_0',
  8: 'Q5_0',
  9: 'Q5_1',
  10: 'Q2_K',
  11: 'Q3_K_S',
  12: 'Q3_K_M',
  13: 'Q3_K_L',
  14: 'Q4_K_S',
  15: 'Q4_K_M',
  16: 'Q5_K_S',
  17: 'Q5_K_M',
  18: 'Q6_K',
  19: 'IQ2_XXS',
  20: 'IQ2_XS',
  21: 'Q2_K_S',
  22: 'IQ3_XS',
  23: 'IQ3_XXS',
  24: 'IQ1_S',
  25: 'IQ4_NL',
  26: 'IQ3_S',
  27: 'IQ3_M',
  28: 'IQ2_S',
  29: 'IQ2_M',
  30: 'IQ4_XS',
  31: 'IQ1_M',
  32: 'BF16',
  36: 'TQ1_0',
  37: 'TQ2_0',
  38: 'MXFP4_MOE',
  39: 'NVFP4',
  40: 'Q1_0',
}

export function fileTypeName(fileType: number): string {
  return fileTypes[fileType] ?? 'unknown'
}

/** `8030261248` → `8.0B`, `22565376` → `22.57M`. */
export function parameterSize(count: number): string {
  if (count >= 1e9) return `${decimal(count / 1e9, 1)}B`
  if (count >= 1e6) return `${decimal(count / 1e6, 2)}M`
  return count >= 1e3 ? `${rounded(count / 1e3, 0)}K` : String(count)
}

/** No decimals where there is nothing behind the point. */
function decimal(number: number, digits: number): string {
  return Number.isInteger(number) ? String(number) : rounded(number, digits)
}

/** What lies just between two goes to the even one, as in Go; `toFixed` takes the larger. */
function rounded(number: number, digits: number): string {
  const scale = 10 ** digits
  // Only what binary fractions hold exactly can lie between: a product alone may have been rounded to it.
  const isExact = Number.isInteger(number * 2 ** (digits + 1))
  const isBetween = isExact && Number.isInteger(number * scale * 2) && !Number.isInteger(number * scale)
  const below = Math.floor(number * scale)
  return (isBetween && below % 2 === 0 ? below / scale : number).toFixed(digits)
}
