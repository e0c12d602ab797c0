/*
 * Tokens. A replica makes one before it asks for a lease. Real ones are never used again; here one is, as soon as nobody can present
 * it any more: a renaming, which keeps the searches small.
 */
short living;               /* tokens whose replica lives and works with them */
byte astray[TOKENS];        /* calls under way that carry them */

inline mint() {
  me = 1;
  do
  :: has(living, me) || astray[me] || s.token == me || s.opened == me || s.begun[me] -> me++; require(bounds_suffice, me < TOKENS)
  :: else -> break
  od;
  living = living | bit_of(me)
}

/* The replica works with it no more. */
inline drop() {
  living = living & ~bit_of(me);
  check_orphan();
  forget(me);
  me = NONE
}

/* Redis keeps it where a failover might bring it back. */
inline forget(with_token) {
  if
  :: !has(living, with_token) && !astray[with_token] ->
    promised = promised & ~bit_of(with_token);
    denied = denied & ~bit_of(with_token);
    if
    :: !FAILOVERS ->
      s.begun[with_token] = 0;
      s.committed = s.committed & ~bit_of(with_token);
      s.wrote = s.wrote & ~bit_of(with_token)
    :: else
    fi
  :: else
  fi
}
