"""Which classes there are below one."""

from gan_modules.checkpoints.class_paths import subclasses


def test_a_class_of_two_bases_is_met_once() -> None:
    class Base: ...

    class One(Base): ...

    class Below(One): ...

    class Two(Base): ...

    class Both(Below, Two): ...

    assert subclasses(Base) == [One, Below, Both, Two]
    assert subclasses(Both) == []
