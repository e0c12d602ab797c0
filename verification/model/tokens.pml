/*
 * Tokens. A replica makes one before it asks for a lease. A real token is never used again. Here it is, as soon
 * as no call can carry it any more: a renaming, which keeps the searches small.
 */
short living;               /* tokens whose replica lives and works with them */
byte astray[TOKENS];        /* calls in flight that carry them */

inline mint() {
  me = 1;
  do
  :: has(living, me) || astray[me] || s.token == me || s.opened == me || s.begun[me] -> me++; require(bounds_suffice, me < TOKENS)
  :: else -> break
  od;
  living = living | bit_of(me)
}

/* The replica stops working with the token. */
inline drop() {
  living = living & ~bit_of(me);
  check_orphan();
  forget(me);
  me = NONE
}

/* Frees the token; Redis keeps it if a failover might bring it back. */
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
