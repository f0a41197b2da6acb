"""Those who count traffic, behind one Protocol (ci.verification.interface.Provider)."""
