#!/bin/sh
# Stands in for a deployment: notes what it would do beside the repository's own files, in its log.
echo "would deploy $(git rev-parse --short HEAD): $1"
