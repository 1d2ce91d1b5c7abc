/** The public API: re-exports only. */
export type { Approval } from './apply/apply.ts'
export type { ApplyRun } from './apply/apply-run.ts'
export type * from './apply/events.ts'
export type { Report, TargetReport } from './apply/report.ts'
export type {
  Config,
  ConfigContext,
  ConfigFunction,
  Defaults,
  HeaderFromEnvironment,
  Message,
  ModelDeclaration,
  ModelParameters,
  Quantization,
  ToolCall,
} from './config/config.ts'
export { defineConfig } from './config/config.ts'
export type { Diagnostic, ErrorCode, ErrorData, ErrorOptions } from './errors.ts'
export { ConfigError, errorCodes, isOllamaConfigError, OllamaConfigError } from './errors.ts'
export { readPlan } from './plan/codec.ts'
export type { LayerDifference, OutdatedModel, OutdatedStatus } from './plan/outdated.ts'
export type * from './plan/plan.ts'
export { formatVersion, pendingChanges } from './plan/plan.ts'
export type * from './plugin.ts'
export { definePlugin, isPlugin, isPluginFactory, pluginApiVersion } from './plugin.ts'
export type { CheckedPlugin } from './plugins/check.ts'
export type { AvailableModel, ManagedModel, ModelManager } from './plugins/manager.ts'
export type { Lock, LockedDerivation, LockedModel, LockedPull } from './record/lock.ts'
export type {
  AddedScripts,
  ApplyPlanOptions,
  BlobProblem,
  Collected,
  CollectLeftoversOptions,
  ConnectOptions,
  CreatePlanOptions,
  DamagedPart,
  Environment,
  Examination,
  ExamineOptions,
  Finding,
  FindingStatus,
  FindLeftoversOptions,
  FindModelNamesOptions,
  FoundLeftovers,
  Gpu,
  InitOptions,
  InitResult,
  KeptModel,
  KnownConfig,
  Leftover,
  LeftoverKind,
  ListedPlugin,
  LoadConfigOptions,
  LoadedConfig,
  LoadedModel,
  LockChange,
  LockModelsOptions,
  LockResult,
  Machine,
  Method,
  MethodName,
  ModelManagerOptions,
  ModelNames,
  Outdated,
  OutdatedTarget,
  PluginList,
  ReadyOptions,
  RunSetupOptions,
  SetupOptions,
  SetupPlan,
  SetupResult,
  Spared,
  StartWay,
  Subject,
  SurveyOptions,
  ValidatedPull,
  ValidatedPullOptions,
  Verification,
  VerifiedModel,
  VerifyModelsOptions,
  VerifyProgress,
} from './runner.ts'
export {
  applyPlan,
  collectLeftovers,
  createModelManager,
  createPlan,
  createRollbackPlan,
  environmentOf,
  examine,
  findLeftovers,
  findModelNames,
  findOutdated,
  initConfig,
  isSound,
  listPlugins,
  loadConfig,
  lockModels,
  planSetup,
  pullModelsWithValidation,
  runSetup,
  verifyModels,
} from './runner.ts'
export type { Logger } from './runtime/logger.ts'
