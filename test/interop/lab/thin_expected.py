"""Which of COUNT snapshots, STEP hours apart up to NOW, do not survive thinning as README tells it: their names, sorted."""
import sys
from datetime import datetime, timedelta, timezone

now = datetime.fromtimestamp(int(sys.argv[1]), timezone.utc)
count, step = int(sys.argv[2]), int(sys.argv[3])
taken = {f"s{i}": now - timedelta(hours=step * i) for i in range(count)}
# When `thin` looks, a little later.
look = now + timedelta(seconds=300)
kept = {name for name, time in taken.items() if look - time < timedelta(hours=24)}


def monday(time):
    day = time.date()
    return day - timedelta(days=day.weekday())


def keep(period, recent):
    last = {}
    for name, time in sorted(taken.items(), key=lambda each: each[1]):
        last[period(time)] = name
    kept.update(name for key, name in last.items() if key in recent)


hours = [look - timedelta(hours=i) for i in range(48)]
keep(lambda t: (t.date(), t.hour), {(t.date(), t.hour) for t in hours})
keep(lambda t: t.date(), {look.date() - timedelta(days=i) for i in range(14)})
keep(monday, {monday(look) - timedelta(weeks=i) for i in range(8)})
months = {((look.year * 12 + look.month - 1 - i) // 12, (look.year * 12 + look.month - 1 - i) % 12 + 1) for i in range(6)}
keep(lambda t: (t.year, t.month), months)
keep(lambda t: t.year, {look.year - i for i in range(2)})
print("\n".join(sorted(set(taken) - kept)))
