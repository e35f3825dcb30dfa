#!/bin/sh
# Makes the mock's footage in mock/clips: two live loops (fragment a frame) and one hour with a clock in the picture.
set -eu
cd "$(dirname "$0")"
mkdir -p clips
footage=../../../../shared/footage
road=$footage/car-detection.mp4
people=$footage/one-by-one-person-detection.mp4
if [ ! -f "$road" ]; then
    ffmpeg -y -v error -f lavfi -i testsrc2=s=768x432:r=12.5 -f lavfi -i sine -t 30 -pix_fmt yuv420p clips/made.mp4
    road=clips/made.mp4
    people=clips/made.mp4
fi
live="-c:v libx264 -preset veryfast -tune zerolatency -bf 0 -pix_fmt yuv420p -movflags frag_every_frame+empty_moov+default_base_moof+omit_tfhd_offset"
ffmpeg -y -v error -i "$road" -t 28 -an $live -r 12.5 -g 12 -s 640x360 clips/road-sub.mp4
ffmpeg -y -v error -i "$road" -t 28 -c:a aac -ar 48000 $live -r 25 -g 25 -s 1280x720 clips/road-main.mp4
ffmpeg -y -v error -i "$road" -t 28 -an $live -r 25 -g 25 -s 1280x720 clips/road-main-mute.mp4
ffmpeg -y -v error -i "$people" -t 60 -an $live -r 10 -g 10 -s 640x360 clips/people-sub.mp4
ffmpeg -y -v error -i "$people" -t 60 -an $live -r 10 -g 10 -s 1280x720 clips/people-main.mp4
ffmpeg -y -v error -stream_loop -1 -i "$people" -t 3600 -an -c:v libx264 -preset ultrafast -bf 0 -g 10 -r 10 -s 768x432 -crf 30 \
    -vf "drawtext=text='%{pts\:hms}':fontsize=36:fontcolor=white:box=1:boxcolor=black@0.6:x=20:y=380" clips/hour.mp4
