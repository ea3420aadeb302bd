/** One call at a target that asked for a change. `changed: false`: refused, or nothing was different afterwards. */
export interface TargetEffect {
  readonly sequence: number;
  readonly at: string;
  /** The target's own id of what was written. */
  readonly targetId: string;
  /** create, update, enable, disable, delete, member-add, member-remove, password, sessions-end … */
  readonly operation: string;
  readonly changed: boolean;
}

export interface EffectQuery {
  readonly after?: number;
  readonly limit?: number;
}
