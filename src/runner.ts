/**
 * The composition root: puts config, backend, registry, plan, apply and record together, for programs and for the CLI alike.
 * A config imports this package, so no dependency is imported before a function needs it.
 */
export { type ApplyPlanOptions, applyPlan } from './runner/apply.ts'
export {
  type Collected,
  type CollectLeftoversOptions,
  collectLeftovers,
  type FindLeftoversOptions,
  type FoundLeftovers,
  findLeftovers,
  type Leftover,
  type LeftoverKind,
  type Spared,
} from './runner/collect.ts'
export {
  type ConnectOptions,
  type Environment,
  type KnownConfig,
  type LoadedConfig,
  type ReadyOptions,
  selectTarget,
} from './runner/connection.ts'
export {
  type Examination,
  type ExamineOptions,
  examine,
  type Finding,
  type FindingStatus,
  type Gpu,
  type LoadedModel,
  type Subject,
} from './runner/doctor.ts'
export { environmentOf } from './runner/environment.ts'
export { type AddedScripts, type InitOptions, type InitResult, initConfig, type KeptModel } from './runner/init.ts'
export { type LoadConfigOptions, loadConfig } from './runner/load.ts'
export { type LockChange, type LockModelsOptions, type LockResult, lockModels } from './runner/lock.ts'
export {
  createModelManager,
  type ListedPlugin,
  listPlugins,
  type ModelManagerOptions,
  type PluginList,
} from './runner/manager.ts'
export { type FindModelNamesOptions, findModelNames, type ModelNames } from './runner/names.ts'
export { findOutdated, type Outdated, type OutdatedTarget } from './runner/outdated.ts'
export { isLocal, isShowable } from './runner/place.ts'
export { type CreatePlanOptions, createPlan } from './runner/plan.ts'
export { createRollbackPlan } from './runner/rollback.ts'
export {
  type Machine,
  type Method,
  type MethodName,
  planSetup,
  type RunSetupOptions,
  runSetup,
  type SetupOptions,
  type SetupPlan,
  type SetupResult,
  type StartWay,
} from './runner/setup.ts'
export { lockPathOf, type SurveyOptions } from './runner/survey.ts'
export { pullModelsWithValidation, type ValidatedPull, type ValidatedPullOptions } from './runner/validated-pull.ts'
export {
  type BlobProblem,
  type DamagedPart,
  isSound,
  type Verification,
  type VerifiedModel,
  type VerifyModelsOptions,
  type VerifyProgress,
  verifyModels,
} from './runner/verify.ts'
