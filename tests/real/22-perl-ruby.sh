#!/usr/bin/env bash
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# perl and ruby: one thread, then with threads, children and signals.
#
#	22-perl-ruby.sh BUILD

. "$(dirname "$0")/lib.sh"

need perl perl
need ruby ruby

cat >"$scratch/one.pl" <<'EOF'
use strict;
$| = 1;
my %seen;
while (my $line = <STDIN>) {
	$seen{$_ % 5003} .= chr(97 + $_ % 26) for 1 .. 60000;
	my $text = join ' ', map { "$_=$seen{$_}" } sort { $a <=> $b } keys %seen;
	my $n = () = $text =~ /[aeiou]{2,}/g;
	print "$line", length $text, " $n\n";
	my $child = open(my $pipe, '-|') // die;
	if (!$child) { print "child of $line"; exit 3 }
	print <$pipe>;
	close $pipe;
	print $? >> 8, "\n";
	print qx(echo from a shell; exit 4), $? >> 8, "\n";
	local $SIG{USR1} = sub { print "signal\n" };
	kill USR1 => $$;
	local $SIG{ALRM} = sub { die "alarm\n" };
	eval { alarm 1; select undef, undef, undef, 20; };
	print $@;
	undef %seen;
}
warn "a warning\n";
END { print "at the end\n" }
exit 5;
EOF

cat >"$scratch/many.pl" <<'EOF'
use strict;
use threads;
use Thread::Queue;
$| = 1;
while (my $line = <STDIN>) {
	my $jobs = Thread::Queue->new(1 .. 40);
	$jobs->end;
	my @workers = map { threads->create(sub {
		my $sum = 0;
		while (defined(my $job = $jobs->dequeue)) {
			my %h = map { $_ => "$_" x 10 } 1 .. 300 * ($job % 7 + 1);
			$sum += length join '', values %h;
		}
		return $sum;
	}) } 1 .. 4;
	my $sum = 0;
	$sum += $_->join for @workers;
	my $pid = fork // die;
	exit 7 unless $pid;
	waitpid $pid, 0;
	print "$line$sum ", $? >> 8, "\n";
}
EOF

cat >"$scratch/many.rb" <<'EOF'
require 'open3'
require 'digest'
$stdout.sync = true
while (line = gets)
  queue = Queue.new
  (1..40).each { |i| queue << i }
  sums = 4.times.map do
    Thread.new do
      sum = 0
      until queue.empty?
        i = queue.pop(true) rescue break
        words = (1..3000).map { |n| (n * i).to_s * 5 }
        sum += words.sort.join.size
      end
      sum
    end
  end.map(&:value)
  puts line, sums.sum
  out, err, status = Open3.capture3('cat; echo wrong >&2; exit 6', stdin_data: 'through')
  p out, err, status.exitstatus
  pid = fork { exit! 8 }
  Process.wait pid
  p $?.exitstatus
  got = Queue.new
  trap('USR1') { got << 1 }
  Process.kill 'USR1', Process.pid
  p got.pop
  puts Digest::SHA256.hexdigest((1..200000).to_a.join(','))
  GC.start
  GC.compact
end
at_exit { puts 'at the end' }
warn 'a warning'
exit 5
EOF
chmod 644 "$scratch"/*.pl "$scratch"/*.rb

want_status=5
single=yes matrix perl in_two perl "$scratch/one.pl"
want_status=0
matrix perl-threads in_two perl "$scratch/many.pl"
claim "perl with one thread released when asked, where it has an agent" released_in perl named always
claim "perl with threads released when asked" released_in perl-threads auto named always
want_status=5
matrix ruby in_two ruby "$scratch/many.rb"
claim "ruby released when asked" released_in ruby auto named always
finish
