# table.awk: the tables of one script of benchmarks; see lib.sh.  kind is
# time, cost, requests or facts; results gets a line per target.
#
# figures: NAME KEY VALUE, several for the same key: their median counts.
# rows:    NAME UNIT AMOUNT TARGETS EACH
# facts:   NAME VALUE UNIT TARGET

function ms(x) {
	return x == "" ? "-" : x < 0.1 ? sprintf("%.3g", x * 1000) : \
		sprintf("%.0f", x * 1000)
}

function ratio(x, y) {
	return x == "" || y == "" || y == 0 ? "-" : sprintf("%.2f", x / y)
}

function median(name, key,    n, i, k, t, v) {
	n = count[name, key]
	for (i = 1; i <= n; i++) {
		t = value[name, key, i]
		for (k = i; k > 1 && v[k - 1] > t; k--)
			v[k] = v[k - 1]
		v[k] = t
	}
	return n ? v[int((n + 1) / 2)] : ""
}

# So much of it for one of the row's units.
function each(key, scale, form,    x) {
	x = median(name, key)
	return x == "" || amount == 0 ? "-" : sprintf(form, x * scale / amount)
}

function number_of(word,    t) {
	if (word == "req") # to a tenth: their directories are made, too
		return each("req.mnt", 1, "%.1f")
	if (word == "flush")
		return each("flush.mnt", 1, "%.6g")
	t = median(name, "time.mnt")
	if (word == "rate")
		return t > 0 ? (once ? 1 : amount) / t : "-"
	return ratio(median(name, "time." word), t)
}

function holds(x, op, limit) {
	return op == ">=" ? x + 0 >= limit + 0 : x + 0 <= limit + 0
}

# "pass>=2 req<=5": each met or not; what cannot be said is left out.
function judge(targets,    n, i, part, op, at, x, said, all) {
	n = split(targets, part, " ")
	for (i = 1; i <= n; i++) {
		op = index(part[i], ">=") ? ">=" : "<="
		at = index(part[i], op)
		x = number_of(substr(part[i], 1, at - 1))
		if (x == "-")
			continue
		all = holds(x, op, substr(part[i], at + 2)) ? "ok" : "MISSED"
		said = said (said ? ", " : "") part[i] " " all
		printf "%s\t%s\t%s\t%.2f\n", all, name, part[i], x >>results
	}
	return said
}

BEGIN { FS = "\t" }

FILENAME == "figures" {
	value[$1, $2, ++count[$1, $2]] = $3
	if ($2 ~ /^kind[.]/ && !(($1, $2) in known)) {
		known[$1, $2] = 1
		kinds[$1] = kinds[$1] substr($2, 6) " "
	}
	next
}

FILENAME == "rows" {
	name = $1; unit = $2; amount = $3; targets = $4; once = $5
	if (kind == "time") {
		if (!head++)
			printf "%-34s %8s %8s %8s %8s %8s | %8s %7s %7s %7s | %13s  %s\n",
				"time, ms; speed as multiple of", "native", "memfs",
				"pass", "gocrypt", "vouchfs", "x native", "x memfs",
				"x pass", "x gocr", "rate", "target"
		t = median(name, "time.mnt")
		printf "%-34s %8s %8s %8s %8s %8s | %8s %7s %7s %7s | %13s  %s\n",
			name, ms(median(name, "time.native")),
			ms(median(name, "time.mem")), ms(median(name, "time.pass")),
			ms(median(name, "time.goc")), ms(t),
			ratio(median(name, "time.native"), t),
			ratio(median(name, "time.mem"), t),
			ratio(median(name, "time.pass"), t),
			ratio(median(name, "time.goc"), t),
			(t > 0 ? sprintf("%.0f %s/s", number_of("rate"), unit) : "-"),
			judge(targets)
	} else if (kind == "cost") {
		if (!head++)
			printf "\n%-34s %6s | %7s %7s %7s | %8s %8s %8s %8s | %7s %7s %7s | %5s\n",
				"each costs", "unit", "memfs", "pass", "vouchfs", "memfs",
				"pass", "gocrypt", "vouchfs", "native", "pass", "vouchfs",
				"MiB"
		printf "%-34s %6s | %7s %7s %7s | %8s %8s %8s %8s | %7s %7s %7s | %5s\n",
			name, unit, each("req.mem", 1, "%.2f"),
			each("req.pass", 1, "%.2f"), each("req.mnt", 1, "%.2f"),
			each("cpu.mem", 1e6, "%.1f"), each("cpu.pass", 1e6, "%.1f"),
			each("cpu.goc", 1e6, "%.1f"), each("cpu.mnt", 1e6, "%.1f"),
			each("flush.native", 1, "%.3g"), each("flush.pass", 1, "%.3g"),
			each("flush.mnt", 1, "%.3g"), median(name, "hwm")
	} else if (kind == "requests") {
		n = split(kinds[name], part, " ")
		line = ""
		for (i = 1; i <= n; i++) {
			x = median(name, "kind." part[i]) / amount
			if (x >= 0.01)
				line = line sprintf("  %s %.2f", part[i], x)
		}
		if (line) {
			if (!head++)
				print "\nrequests to vouchfs for each"
			printf "%-34s%s\n", name, line
		}
	}
	next
}

kind == "facts" {
	if (!head++)
		print ""
	said = ""
	if ($4) {
		said = holds($2, substr($4, 1, 2), substr($4, 3)) ? "ok" : "MISSED"
		printf "%s\t%s\t%s\t%.4g\n", said, $1, $4, $2 >>results
	}
	printf "%-58s %12s %-10s %s\n", $1, sprintf("%.4g", $2), $3,
		($4 ? $4 " " said : "")
}

END {
	if (kind == "cost" && head)
		print "requests | microseconds of the daemon's CPU, with what it does afterwards |" \
			" flushes of the disk, whoever asked | MiB: its peak memory"
}
